// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestEndpointAt(t *testing.T) {
	t.Parallel()
	mapped := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	tests := []struct {
		addr unix.Sockaddr
		want Endpoint
	}{
		{&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 80}, Endpoint{"127.0.0.1", 80, 6, 4}},
		{&unix.SockaddrInet6{Addr: [16]byte{15: 1}, Port: 81}, Endpoint{"::1", 81, 6, 6}},
		{&unix.SockaddrInet6{Addr: mapped}, Endpoint{"::ffff:127.0.0.1", 0, 6, 6}},
		{&unix.SockaddrUnix{Name: "x"}, Endpoint{Proto: 6}},
		{nil, Endpoint{Proto: 6}},
	}
	for _, tt := range tests {
		if got := EndpointAt(tt.addr, unix.IPPROTO_TCP); got != tt.want {
			t.Errorf("%+v: %+v, want %+v", tt.addr, got, tt.want)
		}
	}
}
