// Command example is two programs to copy: `speak` sends one command, `follow` follows the feed.
//
//	example speak [options] CONFERENCE TEXT
//	example follow [options] -state FILE
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	programs := map[string]func(context.Context, []string) error{"speak": speak, "follow": follow}
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: example speak|follow [options]; -help shows them")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := programs[os.Args[1]](ctx, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
