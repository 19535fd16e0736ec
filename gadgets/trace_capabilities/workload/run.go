// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// asRoot has all that it asks for.
func asRoot(t *thread) error { return t.withScore(true) }

// asNobody has nothing.
func asNobody(t *thread) error {
	return t.withScore(false, signalParent(os.Getppid()))
}

// withScore makes all calls, and more.
func (t *thread) withScore(may bool, more ...*call) error {
	f, err := os.OpenFile("/proc/self/oom_score_adj", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	value := make([]byte, 16)
	n, err := f.Read(value)
	if err != nil {
		return err
	}
	if !may {
		if err := t.BecomeNobody(); err != nil {
			return err
		}
	}
	list := append(calls(), reorder(int(f.Fd()), value[:n]))
	return t.do(may, append(list, more...)...)
}

// asOther is another thread that has given up one capability.
func asOther(t *thread) error {
	header, data, err := t.capabilities()
	if err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_SYS_NICE
	if err := unix.Capset(header, &data[0]); err != nil {
		return fmt.Errorf("give up a capability: %w", err)
	}
	if err := t.do(false, moreUrgent()); err != nil {
		return err
	}
	return t.do(true, sethostname())
}
