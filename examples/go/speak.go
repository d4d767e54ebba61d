package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/health" // Without it nothing checks the health that the config names.

	conferencing "telnyx-grpc-gateway.invalid/examples/gen/conferencing/v1"
)

// For all attempts together.
const deadline = 10 * time.Second

// speak sends one command, with what every command should have.
func speak(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("speak", flag.ExitOnError)
	connection := connectionFlags(flags)
	// It retries commands too, which is harmless because this program sets a command_id.
	config := flags.String(
		"service-config", "../../docs/service-config/commands-with-ids.json", "the file to load",
	)
	flags.Parse(arguments)
	if flags.NArg() != 2 {
		return errors.New("usage: example speak [options] CONFERENCE TEXT")
	}
	text, err := os.ReadFile(*config)
	if err != nil {
		return err
	}
	conn, err := connection.open(grpc.WithDefaultServiceConfig(string(text)))
	if err != nil {
		return err
	}
	defer conn.Close()

	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	response, err := conferencing.NewConferenceServiceClient(conn).SpeakText(
		ctx, &conferencing.SpeakTextRequest{
			ConferenceId: flags.Arg(0),
			Payload:      flags.Arg(1),
			Voice:        "female",
			CommandId:    rand.Text(),
		},
	)
	if err != nil {
		return failureOf(err)
	}
	receipt := response.Receipt
	fmt.Printf("spoken: command_id %s, effects after cursor %s\n", receipt.CommandId, receipt.Cursor)
	return nil
}
