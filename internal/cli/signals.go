// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/run"
)

// sameSignal is the time after the first signal in which others count as the same: timeout(1) sends each twice, to the program and to
// its process group. No person presses Ctrl-C twice in that time.
const sameSignal = 100 * time.Millisecond

// listen returns a context that the first SIGINT, SIGTERM or SIGHUP ends. The second SIGINT or SIGTERM ends the program at once.
// The second SIGHUP does not: when a terminal is closed the shell and the kernel each send one, and some service managers
// send one after SIGTERM. Signals that were ignored when the program began (nohup) stay ignored. SIGQUIT prints a state.
func (a *app) listen() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals, stopped := make(chan os.Signal, 8), make(chan struct{})
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	go func() {
		var first time.Time
		for {
			select {
			case s := <-signals:
				switch {
				case s == syscall.SIGQUIT:
					go a.printState()
				case first.IsZero():
					first = time.Now()
					cancel()
				case s != syscall.SIGHUP && time.Since(first) > sameSignal:
					signal.Reset(s)
					_ = unix.Kill(os.Getpid(), s.(syscall.Signal))
				}
			case <-stopped:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		cancel()
	}
}

// atWork says what the program is doing, for printState.
type atWork struct {
	name string
	run  *run.Run
}

// printState writes the facts that a bug report about a program that hangs or is slow needs.
func (a *app) printState() {
	kernel := "unknown"
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	fmt.Fprintf(a.Err, "gizmo: state: version %s, %s, %s/%s, kernel %s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel)
	if work := a.work.Load(); work != nil {
		fmt.Fprintf(a.Err, "gizmo: state: %s, for %v\n", plain.Text(work.name), time.Since(a.began).Round(time.Millisecond))
		printLedger(a.Err, work.run.Ledger(), true)
	}
	fmt.Fprintf(a.Err, "gizmo: state: %d goroutines\n\n%s", runtime.NumGoroutine(), stacks())
}

// maxStacks limits the text of all stacks.
const maxStacks = 1 << 20

func stacks() []byte {
	for size := 64 << 10; ; size *= 2 {
		text := make([]byte, size)
		if n := runtime.Stack(text, true); n < size || size >= maxStacks {
			return text[:n]
		}
	}
}
