// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is one that opens files.
type thread struct{ *workload.Thread[Event] }

func onThread(comm string, do func(*thread) error) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error { return do(&thread{t}) })
}

// ownMounts puts the thread into a mount namespace of its own.
func (t *thread) ownMounts() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("leave the mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts from others: %w", err)
	}
	var err error
	t.Proc.MntnsID, err = workload.Namespace("/proc/thread-self/ns/mnt")
	return err
}
