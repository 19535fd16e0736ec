// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"net"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The namespace stays when the thread that made it has ended, and any thread can enter it.
func TestNetwork(t *testing.T) {
	t.Parallel()
	kerneltest.RequireRoot(t)
	n, err := NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	outside, err := Namespace("/proc/thread-self/ns/net")
	if err != nil || n.ID == outside || n.ID == 0 {
		t.Errorf("the namespace is %d, that of other threads %d (%v)", n.ID, outside, err)
	}
	_, err = OnThread("network", func(*Thread[int]) error {
		if err := n.Enter(); err != nil {
			return err
		}
		if now, err := Namespace("/proc/thread-self/ns/net"); err != nil || now != n.ID {
			t.Errorf("entered %d, want %d (%v)", now, n.ID, err)
		}
		for _, up := range []bool{true, false, true} {
			if err := SetLoopback(up); err != nil {
				return err
			}
			lo, err := net.InterfaceByName("lo")
			if err != nil || (lo.Flags&net.FlagUp != 0) != up {
				t.Errorf("the loopback interface is %v, want up: %t (%v)", lo, up, err)
			}
		}
		return nil
	})()
	if err != nil {
		t.Error(err)
	}
}
