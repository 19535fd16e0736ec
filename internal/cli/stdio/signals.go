// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sameSignal is the time after the first signal in which others count as the same: timeout(1) sends each twice, to the program and to
// its process group. No person presses Ctrl-C twice in that time.
const sameSignal = 100 * time.Millisecond

// Listen returns a context that the first SIGINT, SIGTERM or SIGHUP ends. The second SIGINT or SIGTERM ends the program at once.
// The second SIGHUP does not: when a terminal is closed the shell and the kernel each send one, and some service managers
// send one after SIGTERM. Signals that were ignored when the program began (nohup) stay ignored. SIGQUIT calls quit.
func Listen(quit func()) (ctx context.Context, stop func()) {
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
					go quit()
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

// maxStacks limits the text of all stacks.
const maxStacks = 1 << 20

// Stacks returns the stacks of all goroutines, for a bug report.
func Stacks() []byte {
	for size := 64 << 10; ; size *= 2 {
		text := make([]byte, size)
		if n := runtime.Stack(text, true); n < size || size >= maxStacks {
			return text[:n]
		}
	}
}
