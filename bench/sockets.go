// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/socket"
)

// socketTitle is the title of the table about the owners of sockets.
const socketTitle = "sockets: calls with and without the programs that note their owners"

// socketCall is something that processes do with sockets, both ends on this host.
type socketCall struct {
	name string
	do   func(e *ends) error
}

func socketCalls() []socketCall {
	return []socketCall{
		{"TCP: socket, close", func(*ends) error {
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			return errors.Join(err, unix.Close(s))
		}},
		{"UDP: socket, bind, close", func(*ends) error {
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			return errors.Join(err, unix.Bind(s, loopback(0)), unix.Close(s))
		}},
		{"TCP: connect, accept, close", connectOnce},
		{"UDP: sendto, recv", func(e *ends) error { return e.datagram(e.sender) }},
		{"UDP: send, recv, connected", func(e *ends) error {
			_, err := unix.Write(e.connected, e.data[:8])
			return errors.Join(err, e.receive(e.sink))
		}},
		{"UDP: socket, sendto, close", func(e *ends) error {
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			return errors.Join(err, e.datagram(s), unix.Close(s))
		}},
		{"TCP: 8 bytes sent and received", func(e *ends) error {
			_, err := unix.Write(e.from, e.data[:8])
			return errors.Join(err, e.receive(e.to))
		}},
	}
}

// ends are the sockets that the calls use.
type ends struct {
	sink, sender, connected int // UDP
	listener, from, to      int // TCP
	data                    [64]byte
}

func loopback(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
}

// newEnds opens the sockets. They last as long as the process.
func newEnds() (*ends, error) {
	e := &ends{}
	var errs []error
	open := func(kind int) int {
		s, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
		errs = append(errs, err)
		return s
	}
	e.sink, e.sender, e.connected = open(unix.SOCK_DGRAM), open(unix.SOCK_DGRAM), open(unix.SOCK_DGRAM)
	e.listener, e.from = open(unix.SOCK_STREAM), open(unix.SOCK_STREAM)
	errs = append(errs, unix.Bind(e.sink, loopback(0)), unix.Bind(e.listener, loopback(0)), unix.Listen(e.listener, 128))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	errs = append(errs, unix.Connect(e.connected, address(e.sink)), unix.Connect(e.from, address(e.listener)))
	var err error
	e.to, _, err = unix.Accept4(e.listener, unix.SOCK_CLOEXEC)
	errs = append(errs, err, unix.SetsockoptInt(e.from, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	return e, errors.Join(errs...)
}

// address returns the address that a socket is bound to.
func address(s int) unix.Sockaddr {
	a, err := unix.Getsockname(s)
	if err != nil {
		return loopback(0) // the call that uses it fails
	}
	return a
}

func (e *ends) datagram(from int) error {
	return errors.Join(unix.Sendto(from, e.data[:8], 0, address(e.sink)), e.receive(e.sink))
}

func (e *ends) receive(s int) error {
	_, err := unix.Read(s, e.data[:])
	return err
}

func connectOnce(e *ends) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(s, address(e.listener)); err != nil {
		return errors.Join(err, unix.Close(s))
	}
	accepted, _, err := unix.Accept(e.listener)
	// A reset leaves no socket behind that waits.
	reset := unix.SetsockoptLinger(s, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return errors.Join(err, reset, unix.Close(s), unix.Close(accepted))
}

const (
	socketSamples = 100 // of a call in a round
	socketBatch   = 20  // calls in a sample
)

// time returns how long a call takes: the fifth part of the samples took less.
func (e *ends) time(c *socketCall) (time.Duration, error) {
	samples := make([]time.Duration, socketSamples)
	for i := range samples {
		start := time.Now()
		for range socketBatch {
			if err := c.do(e); err != nil {
				return 0, fmt.Errorf("%s: %w", c.name, err)
			}
		}
		samples[i] = time.Since(start) / socketBatch
	}
	slices.Sort(samples)
	return samples[len(samples)/5], nil
}

// compareSockets measures the calls without and with owners, in turn, and prints a table of medians.
func compareSockets(w io.Writer, rounds int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e, err := newEnds()
	if err != nil {
		return err
	}
	calls := socketCalls()
	untraced, traced := make([][]time.Duration, len(calls)), make([][]time.Duration, len(calls))
	round := func(to [][]time.Duration) error {
		for i := range calls {
			d, err := e.time(&calls[i])
			if err != nil {
				return err
			}
			to[i] = append(to[i], d)
		}
		return nil
	}
	for range rounds {
		if err := round(untraced); err != nil {
			return err
		}
		owners, err := socket.Open(nil)
		if err != nil {
			return err
		}
		if err := errors.Join(owners.Start(), round(traced), owners.Close()); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\n### %s\n\n| call | untraced ns | with owners ns | more |\n|---|--:|--:|--:|\n", socketTitle)
	for i := range calls {
		before, after := middle(untraced[i]), middle(traced[i])
		fmt.Fprintf(w, "| %s | %d | %d | %+.0f %% |\n", calls[i].name, before.Nanoseconds(), after.Nanoseconds(), 100*(float64(after)/float64(before)-1))
	}
	return nil
}

func middle(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}
