// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package tc

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
)

const (
	// lockPatience limits how long lock waits: any process of the network namespace can hold the lock, or be stopped while it does.
	lockPatience = time.Second
	lockInterval = time.Millisecond
)

// lock keeps other threads and gizmo processes from changing the filters of a network namespace until unlock is called: one that finds
// a discipline without filters removes it, and with it a filter that another one adds at that moment. The kernel has no call for
// "remove it if it is empty". Without the lock, after lockPatience, the caller does its work all the same.
func lock(ns *netns.Namespace) (unlock func()) {
	// A lock belongs to an open file, so each caller opens the namespace again.
	own, err := ns.Hold()
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(lockPatience); time.Now().Before(end); time.Sleep(lockInterval) {
		if err := unix.Flock(own.FD(), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return func() { _ = own.Close() } // it was only read
}
