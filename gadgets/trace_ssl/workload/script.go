// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/calls"
	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// word is one of a program's words.
type word = calls.Word

// script is a program with the events that trace_ssl should report.
type script struct {
	*calls.Program
	events []expected
	// served is what the server does with the connection that the program has as descriptor 3, after the
	// handshake.
	served []exchange
}

// expected is an event, with the word in which the program keeps what the function returned.
type expected struct {
	operation string
	returned  word
	ret       int32
	data      string // that was read or written
	errno     unix.Errno
}

// exchange is something that the server reads, and what it answers.
type exchange struct{ read, answer string }

// The descriptors of a program's connections.
const (
	tlsConn = 3 + iota
	plainConn
)

func newScript(libs ...string) *script { return &script{Program: calls.New(libs...)} }

// number is a word with a constant.
func (s *script) number(n int) word { return s.Constant(uint64(n)) }

// expect expects an event of a function that has to return ret.
func (s *script) expect(operation string, returned word, ret int, data string) {
	s.events = append(s.events, expected{operation: operation, returned: returned, ret: int32(ret), data: data})
}

// noEvent is the operation of a call that is not to be reported.
const noEvent = ""

// inner expects an event of a function that another one calls.
func (s *script) inner(operation string, ret int) { s.expect(operation, s.number(ret), ret, "") }

// write calls a function that takes a connection, the data and its length, and perhaps more, and has to return ret.
func (s *script) write(operation, function string, conn word, data string, ret int, more ...word) {
	args := append([]word{conn, s.Bytes(data, len(data)), s.number(len(data))}, more...)
	s.expect(operation, s.Call(function, args...), ret, data)
	s.served = append(s.served, exchange{read: data})
}

// read calls a function that takes a connection, memory for the data and its size, and perhaps more, and has to return ret.
func (s *script) read(operation, function string, conn word, answer string, ret int, more ...word) {
	room := len(answer) + 8
	args := append([]word{conn, s.Bytes("", room), s.number(room)}, more...)
	s.expect(operation, s.Call(function, args...), ret, answer)
	s.answer(answer)
}

// answer lets the server answer what it has read.
func (s *script) answer(data string) { s.served[len(s.served)-1].answer += data }

// fail calls a function for data that fails because of an error.
func (s *script) fail(errno unix.Errno, ret int, operation, function string, args ...word) {
	s.expect(operation, s.Call(function, args...), ret, "")
	s.events[len(s.events)-1].errno = errno
}

// dontWait makes operations on a connection fail that would wait.
func (s *script) dontWait(conn int) {
	s.Call("fcntl", s.number(conn), s.number(unix.F_SETFL), s.number(unix.O_RDWR|unix.O_NONBLOCK))
}

// long is longer than the data of an event.
func long() string { return strings.Repeat("\x00long\xff\n", 1+maxBuf/7) }

// results returns the events, given the program's memory at its end.
func (s *script) results(words []uint64, proc workload.Proc, socketErrors bool) ([]Event, error) {
	var events []Event
	for i, x := range s.events {
		if got := int32(words[x.returned]); got != x.ret {
			return nil, fmt.Errorf("call %d, %q: it returned %d, want %d", i, x.operation, got, x.ret)
		}
		if x.operation == noEvent {
			continue
		}
		data := x.data[:min(len(x.data), maxBuf)]
		e := Event{
			Proc: proc, Operation: x.operation, OperationRaw: uint32(slices.Index(operations, x.operation)),
			Ret: x.ret, Len: uint32(len(x.data)), BufLen: uint32(len(data)), Buf: hex.EncodeToString([]byte(data)),
		}
		if x.errno == 0 || socketErrors {
			outcome := workload.OutcomeOf(x.errno)
			e.Outcome = &outcome
		}
		events = append(events, e)
	}
	return events, nil
}
