package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	conferencing "telnyx-grpc-gateway.invalid/examples/gen/conferencing/v1"
)

// Between a break and the next attempt; each is twice the one before. Somebody waits for the events.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = time.Second
)

type follower struct {
	events  conferencing.EventServiceClient
	record  *record
	onLoss  string
	silence time.Duration
	until   int
}

// follow follows the feed until SIGTERM, and handles each event once.
func follow(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("follow", flag.ExitOnError)
	connection := connectionFlags(flags)
	state := flags.String("state", "", "file to keep ids and cursor in")
	onLoss := flags.String("on-loss", "stop", "when events are no longer stored: stop, or go on with the oldest or newest event")
	silence := flags.Float64("silence", 45, "seconds after which to reconnect")
	until := flags.Int("until", 0, "stop when there are so many events")
	flags.Parse(arguments)
	record, err := openRecord(*state)
	if err != nil {
		return err
	}
	// By default gRPC waits up to two minutes before it connects again.
	conn, err := connection.open(grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 2, Jitter: 0.2, MaxDelay: longestPause},
		MinConnectTimeout: 5 * time.Second,
	}))
	if err != nil {
		return err
	}
	defer conn.Close()
	follower := follower{
		events:  conferencing.NewEventServiceClient(conn),
		record:  record,
		onLoss:  *onLoss,
		silence: time.Duration(*silence * float64(time.Second)),
		until:   *until,
	}
	return follower.run(ctx)
}

// run subscribes, and again after any break that passes by itself.
func (f *follower) run(ctx context.Context) error {
	pause := firstPause
	for !f.enough() {
		came, err := f.stream(ctx)
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "stopped")
			return nil
		}
		if came {
			pause = firstPause
		}
		if err == nil { // drained, or enough
			continue
		}
		wait, err := f.afterFailure(err, pause)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		pause = min(2*pause, longestPause)
	}
	return nil
}

// stream handles one stream, and says whether anything came. What a response held is kept before
// the next one is asked for.
func (f *follower) stream(ctx context.Context) (came bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Heartbeats come more often than that: a silent connection is dead.
	watchdog := time.AfterFunc(f.silence, cancel)
	defer watchdog.Stop()
	stream, err := f.events.Subscribe(ctx, f.request())
	if err != nil {
		return false, err
	}
	for !f.enough() {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return came, nil
		}
		if err != nil {
			return came, err
		}
		watchdog.Reset(f.silence)
		came = true
		report(response)
		ids := make([]string, len(response.Events))
		for i, event := range response.Events {
			ids[i] = event.Id
		}
		if err := f.record.add(ids, response.Cursor); err != nil {
			return came, err
		}
	}
	return came, nil
}

// afterFailure says how long to pause before the next attempt, or returns what a retry cannot mend.
func (f *follower) afterFailure(err error, pause time.Duration) (time.Duration, error) {
	if _, isStatus := status.FromError(err); !isStatus {
		return 0, err // of the record's file, for example
	}
	failure := failureOf(err)
	switch {
	case failure.code == codes.OutOfRange:
		fmt.Fprintln(os.Stderr, lost(failure.reason, failure.metadata["missed_events"]))
		if f.onLoss != "newest" {
			return 0, errors.New("start anew with -on-loss oldest or newest")
		}
		return 0, f.record.add(nil, failure.metadata["newest_cursor"])
	case failure.code == codes.Canceled && failure.reason == "": // by the watchdog
		fmt.Fprintf(os.Stderr, "nothing came for %s, subscribing again\n", f.silence)
		return 0, nil
	case failure.code == codes.Unavailable,
		failure.code == codes.Unknown && failure.reason == "",
		// A limit of the gateway's passes, one of the library's does not.
		failure.code == codes.ResourceExhausted && failure.reason != "":
		if failure.retryAfter != nil {
			pause = max(pause, *failure.retryAfter)
		}
		fmt.Fprintf(os.Stderr, "no stream (%s), again in %s\n", failure.message, pause)
		return pause, nil
	}
	return 0, failure
}

func (f *follower) request() *conferencing.SubscribeRequest {
	request := &conferencing.SubscribeRequest{
		HeartbeatInterval: durationpb.New(f.silence / 3),
		OnGap:             conferencing.GapPolicy_GAP_POLICY_FAIL,
	}
	if f.onLoss == "oldest" {
		request.OnGap = conferencing.GapPolicy_GAP_POLICY_CONTINUE
	}
	if f.record.cursor == "" {
		request.Start = &conferencing.SubscribeRequest_Position{Position: conferencing.Position_POSITION_EARLIEST}
	} else {
		request.Start = &conferencing.SubscribeRequest_AfterCursor{AfterCursor: f.record.cursor}
	}
	return request
}

func (f *follower) enough() bool { return f.until > 0 && len(f.record.seen) >= f.until }

// report says what has happened to the stream; events are handled by the record alone.
func report(response *conferencing.SubscribeResponse) {
	if gap := response.Gap; gap != nil {
		missed := ""
		if gap.MissedEvents > 0 {
			missed = fmt.Sprint(gap.MissedEvents)
		}
		fmt.Fprintln(os.Stderr, lost(strings.TrimPrefix(gap.Reason.String(), "GAP_REASON_"), missed))
	}
	if drain := response.Drain; drain != nil {
		why := strings.TrimPrefix(drain.Reason.String(), "DRAIN_REASON_")
		fmt.Fprintf(os.Stderr, "drained: %s, subscribing again\n", why)
	}
}

// lost is a loss in words. Whatever was derived from the events may be wrong now.
func lost(reason, missed string) string {
	if missed == "" {
		missed = "an unknown number of"
	}
	return fmt.Sprintf("lost: %s events (%s)", missed, reason)
}
