// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Event is what trace_tcp has to say, as far as it can be known beforehand.
type Event struct {
	Proc     workload.Proc     `json:"proc"`
	NetnsID  uint64            `json:"netns_id"`
	Type     string            `json:"type"`
	Src      workload.Endpoint `json:"src"`
	Dst      workload.Endpoint `json:"dst"`
	Error    string            `json:"error"`
	ErrorRaw uint32            `json:"error_raw"`
	FD       int               `json:"fd"`
	AcceptFD int               `json:"accept_fd"`
}

func endpoint(a unix.Sockaddr) workload.Endpoint { return workload.EndpointAt(a, unix.IPPROTO_TCP) }

// none is an endpoint of which nothing is known but the version.
func none(version int) workload.Endpoint {
	if version == 4 {
		return endpoint(&unix.SockaddrInet4{})
	}
	return endpoint(&unix.SockaddrInet6{})
}
