// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Event is an event of trace_bind, with the fields that are known in advance.
type Event struct {
	Proc    workload.Proc     `json:"proc"`
	NetnsID uint64            `json:"netns_id"`
	Addr    workload.Endpoint `json:"addr"`
	workload.Outcome
	Opts       string  `json:"opts"`
	OptsRaw    options `json:"opts_raw"`
	BoundDevIf int     `json:"bound_dev_if"`
}

// options is a set of the options that trace_bind shows.
type options uint8

const (
	freebind options = 1 << iota
	transparent
	bindAddressNoPort
	reuseAddress
	reusePort
)

func (o options) String() string {
	var set []string
	for i, name := range []string{"FREEBIND", "TRANSPARENT", "BIND_ADDRESS_NO_PORT", "REUSEADDRESS", "REUSEPORT"} {
		if o&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, "|")
}
