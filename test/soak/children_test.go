// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	lasts = flag.Duration("for", 15*time.Second, "how long the load of TestSoak lasts")
	gizmo = flag.String("gizmo", "../../bin/gizmo", "the `program` under test")
)

// The environment's variable childRole makes the test program one of its children. An argument says more.
const (
	childRole    = "GIZMO_SOAK_CHILD"
	roleLoad     = "load"
	roleEmbedder = "embedder"
	roleLeaks    = "leaks"
)

func TestMain(m *testing.M) {
	role := os.Getenv(childRole)
	if role == "" {
		flag.Parse()
		os.Exit(m.Run())
	}
	// A profile of memory, which only programs with package testing have, grows for as long as it finds new stacks.
	runtime.MemProfileRate = 0
	err := errors.New("no such child: " + role)
	switch role {
	case roleLoad:
		err = runLoad(os.Stdin, os.Stdout)
	case roleEmbedder:
		err = runEmbedder(os.Args[1], os.Stdin, os.Stdout)
	case roleLeaks:
		err = leak(os.Args[1], os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// inputEnds returns a channel that is closed at the end of in, which ends a child.
func inputEnds(in io.Reader) <-chan struct{} {
	stopped := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(stopped)
	}()
	return stopped
}

// phases are what the load does by turns: it trickles, flows, storms and rests. All together take about two seconds, so that each
// quarter of a test has at least one turn.
var phases = [...]struct {
	opens int
	pause time.Duration // after each of them
	rest  time.Duration // after all
}{
	{5, 20 * time.Millisecond, 100 * time.Millisecond},
	{100, time.Millisecond, 0},
	{5000, 0, 400 * time.Millisecond},
	{25, 5 * time.Millisecond, 200 * time.Millisecond},
	{1500, 0, 300 * time.Millisecond},
}

// paths are the files that the load opens by turns.
var paths = [...]string{"/proc/version", "/proc/uptime"}

// runLoad opens files again and again, and no others. It begins with the first byte of in and at the end writes how many times.
func runLoad(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	if _, err := in.Read(make([]byte, 1)); err != nil {
		return err
	}
	stopped := inputEnds(in)
	made := 0
	for turn := 0; ; turn++ {
		p := &phases[turn%len(phases)]
		for range p.opens {
			select {
			case <-stopped:
				_, err := fmt.Fprintln(out, made)
				return err
			default:
			}
			fd, err := unix.Open(paths[made%len(paths)], unix.O_RDONLY, 0)
			if err != nil {
				return err
			}
			unix.Close(fd)
			made++
			time.Sleep(p.pause)
		}
		time.Sleep(p.rest)
	}
}
