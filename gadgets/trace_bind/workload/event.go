// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// Event is what trace_bind has to say of a call, as far as it can be known beforehand.
type Event struct {
	Proc       Proc     `json:"proc"`
	NetnsID    uint64   `json:"netns_id"`
	Addr       Endpoint `json:"addr"`
	Error      string   `json:"error"`
	ErrorRaw   uint32   `json:"error_raw"`
	Opts       string   `json:"opts"`
	OptsRaw    options  `json:"opts_raw"`
	BoundDevIf int      `json:"bound_dev_if"`
}

// Proc is who called.
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

// Endpoint is an address.
type Endpoint struct {
	Addr    string `json:"addr"`
	Port    int    `json:"port"`
	Proto   int    `json:"proto"`
	Version int    `json:"version"`
}

// endpoint describes a socket address.
func endpoint(a unix.Sockaddr, proto int) Endpoint {
	e := Endpoint{Proto: proto}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		e.Addr, e.Port, e.Version = netip.AddrFrom4(a.Addr).String(), a.Port, 4
	case *unix.SockaddrInet6:
		e.Addr, e.Port, e.Version = netip.AddrFrom16(a.Addr).String(), a.Port, 6
	}
	return e
}

// options is a set of those that trace_bind tells.
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
	if set == nil {
		return "0"
	}
	return strings.Join(set, "|")
}
