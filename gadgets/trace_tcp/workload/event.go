// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Event is what trace_tcp has to say, as far as it can be known beforehand.
type Event struct {
	Proc     Proc     `json:"proc"`
	NetnsID  uint64   `json:"netns_id"`
	Type     string   `json:"type"`
	Src      Endpoint `json:"src"`
	Dst      Endpoint `json:"dst"`
	Error    string   `json:"error"`
	ErrorRaw uint32   `json:"error_raw"`
	FD       int      `json:"fd"`
	AcceptFD int      `json:"accept_fd"`
}

// Proc is who did it.
type Proc struct {
	Comm    string `json:"comm"`
	PID     int    `json:"pid"`
	TID     int    `json:"tid"`
	MntnsID uint64 `json:"mntns_id"`
	Creds   Creds  `json:"creds"`
	Parent  Parent `json:"parent"`
}

// Creds are the real ids.
type Creds struct {
	UID int `json:"uid"`
	GID int `json:"gid"`
}

// Parent is the process that started it.
type Parent struct {
	PID int `json:"pid"`
}

// Endpoint is one side of a connection.
type Endpoint struct {
	Addr    string `json:"addr"`
	Port    int    `json:"port"`
	Proto   int    `json:"proto"`
	Version int    `json:"version"`
}

// endpoint describes a socket address.
func endpoint(a unix.Sockaddr) Endpoint {
	e := Endpoint{Proto: unix.IPPROTO_TCP}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		e.Addr, e.Port, e.Version = netip.AddrFrom4(a.Addr).String(), a.Port, 4
	case *unix.SockaddrInet6:
		e.Addr, e.Port, e.Version = netip.AddrFrom16(a.Addr).String(), a.Port, 6
	}
	return e
}

// none is an endpoint of which nothing is known but the version.
func none(version int) Endpoint {
	if version == 4 {
		return endpoint(&unix.SockaddrInet4{})
	}
	return endpoint(&unix.SockaddrInet6{})
}
