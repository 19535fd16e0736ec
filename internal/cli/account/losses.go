// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package account prints what a run did: its events, those that it lost, and how often its programs ran.
package account

import (
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run"
)

// Loss reports events that were lost while the run goes on.
func Loss(w io.Writer, l run.Loss) {
	fmt.Fprintf(w, "gizmo: warning: %s: %d events lost (%s)\n", plain.Text(l.Source.String()), l.Count, l.Cause)
}

// Ledger writes the account of a run: the losses by CPU and cause, and with all set also
// the sums of data sources that lost nothing.
func Ledger(w io.Writer, ledger *pipeline.Ledger, all bool) {
	for _, a := range ledger.Accounts() {
		t := a.Totals()
		if t.Lost == 0 && !all {
			continue
		}
		name := plain.Text(a.Source().String())
		switch a.Sink() {
		case run.RecordName:
			name = "recording of " + name
		case run.MetricsName:
			name = "metrics of " + name
		}
		fmt.Fprintf(w, "gizmo: %s: %d events produced, %d delivered, %d filtered, %d lost\n",
			name, t.Produced(), t.Delivered, t.Filtered, t.Lost)
		for _, l := range a.Losses() {
			if l.CPU == event.NoCPU {
				fmt.Fprintf(w, "gizmo: %s:   %d lost: %s\n", name, l.Count, l.Cause)
				continue
			}
			fmt.Fprintf(w, "gizmo: %s:   %d lost on CPU %d: %s\n", name, l.Count, l.CPU, l.Cause)
		}
	}
}

// Containers writes whose events the kernel's buffers had no room for.
func Containers(w io.Writer, losses []run.ContainerLoss) {
	for _, l := range losses {
		fmt.Fprintf(w, "gizmo: %s:   %d lost %s: %s\n", plain.Text(l.Source.String()), l.Count, whose(l.Container), event.BufferFull)
	}
}

func whose(c *container.Container) string {
	switch {
	case c == nil:
		return "of no known container"
	case c.InPod():
		return plain.Text("of the container " + c.Pod.Container + " of the pod " + c.Pod.Namespace + "/" + c.Pod.Name)
	}
	return plain.Text("of the container " + c.Name)
}

// Stacks writes how many stacks events lack.
func Stacks(w io.Writer, losses []run.StackLoss) {
	for _, l := range losses {
		prefix := "gizmo: "
		if l.Gadget != "" {
			prefix += plain.Text(l.Gadget) + ": "
		}
		for _, cause := range []struct {
			count uint64
			text  string
		}{
			{l.Full, "the buffer for new stacks was full"},
			{l.Busy, "programs interrupted too many others on a CPU"},
			{l.Exhausted, "there is no number left for another stack"},
			{l.Forgotten, "they were older than gizmo remembers"},
		} {
			if cause.count > 0 {
				fmt.Fprintf(w, "%s%d stacks lost: %s\n", prefix, cause.count, cause.text)
			}
		}
	}
}
