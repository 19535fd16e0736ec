// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// asRoot has all that it asks for.
func asRoot(t *thread) { t.withScore(true) }

// asNobody has nothing.
func asNobody(t *thread) { t.withScore(false, signalParent(os.Getppid())) }

// withScore makes all calls, and more.
func (t *thread) withScore(may bool, more ...*call) {
	f := workload.Must(os.OpenFile("/proc/self/oom_score_adj", os.O_RDWR, 0))
	defer f.Close()
	value := make([]byte, 16)
	n := workload.Must(f.Read(value))
	if !may {
		workload.Check("give up rights", t.BecomeNobody())
	}
	list := append(calls(), reorder(int(f.Fd()), value[:n]))
	t.do(may, append(list, more...)...)
}

// asOther runs on another thread, which has given up one capability.
func asOther(t *thread) {
	header, data := capabilities()
	data[0].Effective &^= 1 << unix.CAP_SYS_NICE
	workload.Check("give up a capability", unix.Capset(header, &data[0]))
	t.do(false, moreUrgent())
	t.do(true, sethostname())
}
