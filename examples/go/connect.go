package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// connection has the options that both programs take.
type connection struct{ address, ca, token *string }

func connectionFlags(flags *flag.FlagSet) connection {
	return connection{
		address: flags.String("address", "127.0.0.1:50051", "the gateway's address"),
		ca:      flags.String("tls-ca", "", "file of CA certificates to know the gateway by"),
		token:   flags.String("token-file", "", "file of a bearer token; needs -tls-ca"),
	}
}

// open connects in TLS if there is a CA, else in clear. It sends nothing until the first call.
func (c connection) open(options ...grpc.DialOption) (*grpc.ClientConn, error) {
	if *c.ca == "" {
		if *c.token != "" {
			return nil, errors.New("-token-file needs -tls-ca: a token is not sent in clear")
		}
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
		return grpc.NewClient(*c.address, options...)
	}
	tls, err := credentials.NewClientTLSFromFile(*c.ca, "")
	if err != nil {
		return nil, err
	}
	options = append(options, grpc.WithTransportCredentials(tls))
	if *c.token != "" {
		options = append(options, grpc.WithPerRPCCredentials(tokenFile(*c.token)))
	}
	return grpc.NewClient(*c.address, options...)
}

// tokenFile sends its text with each call, and is read anew, so that it may be replaced.
type tokenFile string

func (path tokenFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(string(path))
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, nil
}

func (tokenFile) RequireTransportSecurity() bool { return true }
