// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func want(what string, n, got int) {
	if got != n {
		workload.Check(what, fmt.Errorf("got %d bytes, want %d", got, n))
	}
}

// both sends in both directions, with several calls.
func both(t *thread) {
	for _, n := range networks() {
		c := n.connect()
		send(c.client, 10)
		want("send", 5, workload.Must(unix.SendmsgN(c.client, []byte("hello"), nil, nil, 0)))
		want("send", 7, workload.Must(unix.Writev(c.client, [][]byte{[]byte("two"), []byte("more")})))
		receive(c.server, 12)
		got, _, _, _, err := unix.Recvmsg(c.server, make([]byte, 100), nil, 0)
		workload.Check("receive", err)
		want("receive", 10, got)
		send(c.server, 100_000)
		receive(c.client, 100_000)
		want("receive the end", 0, endOf(c))
		workload.CloseFD(c.client)
		t.client(c, 22, 100_000)
		t.server(c, 100_000, 22)
	}
}

// endOf closes the server's end and receives the end of its data.
func endOf(c *connection) int {
	workload.CloseFD(c.server)
	return workload.Must(unix.Read(c.client, make([]byte, 10)))
}

// looking looks at data, which is received only once.
func looking(t *thread) {
	c := ipv4().connect()
	defer c.close()
	send(c.client, 50)
	for range 3 {
		got, _, err := unix.Recvfrom(c.server, make([]byte, 20), unix.MSG_PEEK)
		workload.Check("look", err)
		want("look", 20, got)
	}
	receive(c.server, 30)
	got, _, err := unix.Recvfrom(c.server, make([]byte, 100), unix.MSG_PEEK)
	workload.Check("look", err)
	want("look", 20, got)
	t.client(c, 50, 0)
	t.server(c, 0, 30)
}

// inParts receives, in one call, what comes in parts.
func inParts(t *thread) {
	c := ipv6().connect()
	defer c.close()
	go func() { // another thread, which has another name
		for range 4 {
			time.Sleep(20 * time.Millisecond)
			_, _ = unix.Write(c.client, make([]byte, 1000))
		}
	}()
	got, _, err := unix.Recvfrom(c.server, make([]byte, 4000), unix.MSG_WAITALL)
	workload.Check("receive all", err)
	want("receive all", 4000, got)
	t.server(c, 0, 4000)
}

// files sends from a file.
func files(t *thread) {
	c := ipv4().connect()
	defer c.close()
	workload.Check("write a file", os.WriteFile("file", make([]byte, 30_000), 0o600))
	file := workload.Must(unix.Open("file", unix.O_RDONLY|unix.O_CLOEXEC, 0))
	defer unix.Close(file)
	want("send a file", 30_000, workload.Must(unix.Sendfile(c.client, file, nil, 40_000)))
	receive(c.server, 30_000)
	t.client(c, 30_000, 0)
	t.server(c, 0, 30_000)
}

// pipes moves data between pipes and connections. What goes from a connection into a pipe does not count.
func pipes(t *thread) {
	c := ipv4().connect()
	defer c.close()
	var pipe [2]int
	workload.Check("make a pipe", unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	workload.Must(unix.Write(pipe[1], make([]byte, 500)))
	want("send from a pipe", 500, int(workload.Must(unix.Splice(pipe[0], nil, c.client, nil, 1000, 0))))
	want("receive to a pipe", 500, int(workload.Must(unix.Splice(c.server, nil, pipe[1], nil, 1000, 0))))
	t.client(c, 500, 0)
}

// failing makes calls that move nothing.
func failing(*thread) {
	c := ipv4().connect()
	defer c.close()
	workload.Check("do not wait", unix.SetNonblock(c.server, true))
	_, err := unix.Read(c.server, make([]byte, 10))
	workload.Want("receive nothing", err, unix.EAGAIN)
	workload.Check("shut down", unix.Shutdown(c.client, unix.SHUT_WR))
	_, err = unix.SendmsgN(c.client, []byte("hello"), nil, nil, unix.MSG_NOSIGNAL)
	workload.Want("send after the end", err, unix.EPIPE)
}

func asNobody(t *thread) {
	c := ipv4().connect()
	defer c.close()
	workload.Check("give up rights", t.BecomeNobody())
	send(c.client, 9)
	receive(c.server, 9)
	t.client(c, 9, 0)
	t.server(c, 0, 9)
}

// others sends and receives without TCP.
func others(*thread) {
	udp := workload.Must(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(udp)
	workload.Check("bind", unix.Bind(udp, ipv4().At(0)))
	workload.Check("connect", unix.Connect(udp, ipv4().At(local(udp).Port)))
	pair := workload.Must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	send(udp, 10)
	receive(udp, 10)
	send(pair[0], 10)
	receive(pair[1], 10)
}

// together makes four threads send through one connection, and receive from it. Which of them receives what is
// known only afterwards.
func together() ([]Row, error) {
	var c *connection
	_, err := onThread(func(*thread) { c = ipv4().connect() })()
	if err != nil {
		return nil, err
	}
	defer c.close()
	return workload.Times(4, func(i int) workload.Task[Row] {
		return onThread(func(t *thread) {
			total := 0
			for j := range 500 {
				send(c.client, i+j+1)
				total += i + j + 1
			}
			got := 0
			for got < total {
				got += workload.Must(unix.Read(c.server, make([]byte, total-got)))
			}
			t.client(c, total, 0)
			t.server(c, 0, got)
		})
	})()
}
