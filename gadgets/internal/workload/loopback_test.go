// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// A datagram to each way's address arrives.
func TestLoopback(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]workload.Loopback{
		"IPv4": workload.LoopbackIPv4(), "IPv6": workload.LoopbackIPv6(), "mapped": workload.LoopbackMapped(),
	} {
		fd, err := unix.Socket(l.Domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(name, err)
		}
		defer workload.CloseFD(fd)
		if err := unix.Bind(fd, l.At(0)); err != nil {
			t.Fatal(name, err)
		}
		port := workload.EndpointAt(workload.Must(unix.Getsockname(fd)), unix.IPPROTO_UDP).Port
		if err := unix.Sendto(fd, []byte("x"), 0, l.At(port)); err != nil {
			t.Error(name, err)
		}
		workload.WaitForSocket(fd, unix.POLLIN)
	}
}
