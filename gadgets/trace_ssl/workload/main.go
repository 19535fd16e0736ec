// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has processes that use each of the libraries that trace_ssl observes.
//
//	workload DIR
//
// DIR is a folder for its files.
//
// The processes are clients; the workload is their server, with Go's own TLS, which trace_ssl does not observe.
package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/calls"
	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(dir string) error {
	clients, err := startAll(dir)
	if err != nil {
		return err
	}
	socketErrors := canSeeSockets()
	return workload.Cause([]string{"--comm", comm}, func() ([]Event, error) {
		var events []Event
		for _, c := range clients {
			more, err := c.finish(socketErrors)
			if err != nil {
				return nil, err
			}
			events = append(events, more...)
		}
		return events, nil
	})
}

// canSeeSockets reports whether the kernel has the tracepoint that tells the results of operations on sockets.
func canSeeSockets() bool {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return false
	}
	var t *btf.Typedef
	return kernel.TypeByName("btf_trace_sock_recv_length", &t) == nil
}

// client is a script that has been started and waits.
type client struct {
	*calls.Process
	script *script
	served <-chan error
}

// comm is the name of all processes, and of the files with their programs.
const comm = "tls-calls"

func startAll(dir string) ([]*client, error) {
	sys, err := calls.FindSystem("/bin/sh")
	if err != nil {
		return nil, fmt.Errorf("find the C library: %w", err)
	}
	server, err := newServer()
	if err != nil {
		return nil, err
	}
	var list []*client
	for i, s := range []*script{openssl(), crypto(), gnutls(), nss()} {
		conns, served, err := server.connect(s.served)
		if err != nil {
			return nil, err
		}
		p, err := calls.Start(s.Program, sys, filepath.Join(dir, strconv.Itoa(i)), comm, conns...)
		for _, c := range conns {
			c.Close()
		}
		if err != nil {
			return nil, err
		}
		list = append(list, &client{p, s, served})
	}
	return list, nil
}

// finish lets the client make its calls, and returns the events.
func (c *client) finish(socketErrors bool) ([]Event, error) {
	if err := c.GoOn(); err != nil {
		return nil, err
	}
	words, proc, err := c.Finish()
	if err := errors.Join(err, <-c.served); err != nil {
		return nil, err
	}
	return c.script.results(words, proc, socketErrors)
}
