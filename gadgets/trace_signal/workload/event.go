// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Event is an event of trace_signal, with the fields that are known in advance.
type Event struct {
	Proc   workload.Proc `json:"proc"`
	TComm  *string       `json:"tcomm,omitempty"`
	TPID   int           `json:"tpid"`
	TTID   *int          `json:"ttid,omitempty"`
	Sig    string        `json:"sig"`
	SigRaw int           `json:"sig_raw"`
	workload.Outcome
	CodeRaw int    `json:"code_raw"`
	Code    string `json:"code"`
	Group   bool   `json:"group"`
	Result  string `json:"result,omitempty"`
}

// to returns the event of a signal to a process, or to one of its threads.
func to(comm string, pid, tid int, group bool, sig unix.Signal, code int, result string) Event {
	return Event{TComm: &comm, TPID: pid, TTID: &tid, SigRaw: int(sig), CodeRaw: code, Group: group, Result: result}
}

// failure is that of a call that names a process, and perhaps a thread.
func failure(pid, tid int, sig unix.Signal, code int, errno unix.Errno) Event {
	e := to("", pid, tid, tid == 0, sig, code, notSent)
	e.Outcome = workload.OutcomeOf(errno)
	return e
}

// The results of a signal.
const (
	delivered      = "delivered"
	ignored        = "ignored"
	alreadyPending = "already_pending"
	loseInfo       = "lose_info"
	notSent        = "not_sent"
)

// Why it is sent.
const (
	siUser    = 0
	siQueue   = -1
	siTkill   = -6
	siKernel  = 0x80
	segMaperr = 1

	cldExited    = 1
	cldKilled    = 2
	cldStopped   = 5
	cldContinued = 6
)
