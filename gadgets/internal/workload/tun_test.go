// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The interface is in the network namespace of the thread, and goes when its other end is closed.
func TestOpenTun(t *testing.T) {
	t.Parallel()
	kerneltest.RequireRoot(t)
	_, err := OnThread("tun", func(thread *Thread[int]) error {
		if _, err := thread.OwnNetwork(); err != nil {
			return err
		}
		fd, err := OpenTun()
		if err != nil {
			return err
		}
		req := Must(unix.NewIfreq("test-tun"))
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		Check("make an interface", unix.IoctlIfreq(fd, unix.TUNSETIFF, req))
		if _, err := net.InterfaceByName("test-tun"); err != nil {
			t.Error(err)
		}
		CloseFD(fd)
		if _, err := net.InterfaceByName("test-tun"); err == nil {
			t.Error("the interface is still there")
		}
		return nil
	})()
	if err != nil {
		t.Fatal(err)
	}
}
