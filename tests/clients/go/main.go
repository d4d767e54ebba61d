// Command client calls several gateways by a service config. Each line that it reads is a call,
// METHOD and REQUEST: a full name (/package.Service/Method) and the message's bytes in base64. For
// each it prints a line: the name of the status code, once the call has ended. A line that begins
// with HOLD is answered at once, and its call goes on beside the others.
//
//	client CONFIG ADDRESS...
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // Without it nothing checks health.
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

const patience = 30 * time.Second

// raw passes messages on as bytes, so that no stubs are needed.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(value any) ([]byte, error) { return value.([]byte), nil }

func (raw) Unmarshal(data []byte, value any) error {
	*value.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func main() {
	config, err := os.ReadFile(os.Args[1])
	fail(err)
	var addresses []resolver.Address
	for _, address := range os.Args[2:] {
		addresses = append(addresses, resolver.Address{Addr: address})
	}
	gateways := manual.NewBuilderWithScheme("gateways")
	gateways.InitialState(resolver.State{Addresses: addresses})
	conn, err := grpc.NewClient(
		"gateways:///",
		grpc.WithResolvers(gateways),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(string(config)),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})),
	)
	fail(err)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if words[0] == "HOLD" {
			go call(conn, words[1], words[2])
			fmt.Println("held")
			continue
		}
		fmt.Println(call(conn, words[0], words[1]))
	}
}

func call(conn *grpc.ClientConn, method, encoded string) string {
	request, err := base64.StdEncoding.DecodeString(encoded)
	fail(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var response []byte
	return status.Code(conn.Invoke(ctx, method, request, &response)).String()
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
