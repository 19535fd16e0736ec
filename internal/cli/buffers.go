// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// bufferFlags are the flags about the buffers between the kernel and the output.
type bufferFlags struct {
	size    int
	latency time.Duration
	shards  int
	stats   bool
	slow    string
}

func (f *bufferFlags) register(fs *pflag.FlagSet) {
	fs.IntVar(&f.size, "buffer-size", 0, "size in bytes of the buffer between the kernel and gizmo; 0: 8 MiB for each CPU, at most 1/64 of the memory or 256 MiB")
	fs.DurationVar(&f.latency, "latency", gadget.DefaultLatency, "how long an event may wait in the buffer for others; 0: no wait, which costs more CPU time")
	fs.IntVar(&f.shards, "shards", 0, "split the buffer into this many, for groups of CPUs; 0: one for every 16 CPUs")
	fs.StringVar(&f.slow, "slow-output", dropEvents, "when a pipe or terminal is too slow for the events: drop events and count them, or block, so that the kernel's buffer fills up")
	fs.BoolVar(&f.stats, "stats", false, "at the end show how often each of the gadget's programs ran and for how long; counting costs each run some nanoseconds")
}

// The values of --slow-output.
const (
	dropEvents = "drop"
	blockRun   = "block"
)

// minBufferSize is a page.
const minBufferSize = 4 << 10

// check returns errors about the flags before gizmo uses the kernel.
func (f *bufferFlags) check() error {
	if f.size != 0 && (f.size < minBufferSize || f.size > gadget.MaxBufferSize) {
		return fmt.Errorf("--buffer-size: want 0, or from %d to %d bytes, got %d", minBufferSize, gadget.MaxBufferSize, f.size)
	}
	if f.latency < 0 {
		return fmt.Errorf("--latency: want 0 or more, got %v", f.latency)
	}
	if f.shards < 0 || f.shards > gadget.MaxShards {
		return fmt.Errorf("--shards: want 0, or from 1 to %d, got %d", gadget.MaxShards, f.shards)
	}
	if f.slow != dropEvents && f.slow != blockRun {
		return fmt.Errorf("--slow-output: want %s or %s, got %q", dropEvents, blockRun, f.slow)
	}
	return nil
}

// apply sets the options from the flags.
func (f *bufferFlags) apply(o *gadget.LoadOptions) {
	o.BufferSize, o.Latency, o.Shards = f.size, f.latency, f.shards
	if f.latency == 0 {
		o.Latency = gadget.AtOnce
	}
}

// printStats writes the kernel's counts for each program.
func printStats(w io.Writer, stats []gadget.ProgramStats) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "PROGRAM\tHOOK\tRUNS\tTIME\tNS/RUN\tINSTRUCTIONS\tVERIFIED\tMISSED\t")
	for _, s := range stats {
		each := time.Duration(0)
		if s.Runs > 0 {
			each = s.Time / time.Duration(s.Runs)
		}
		hook := plain.Text(s.Section)
		if !s.Attached {
			hook += " (not needed)"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%v\t%d\t%d\t%d\t%d\t\n", plain.Text(s.Name), hook, s.Runs, s.Time, each.Nanoseconds(), s.Instructions, s.Verified, s.Missed)
	}
	return t.Flush()
}

// printMissed reports runs of programs that the kernel skipped. They are not in the ledger, because it is
// unknown which of them would have been events.
func printMissed(w io.Writer, stats []gadget.ProgramStats) {
	for _, s := range stats {
		if s.Missed > 0 {
			fmt.Fprintf(w, "gizmo: warning: program %s: the kernel skipped %d runs, because the program was already running on that CPU; each may have been an event\n",
				plain.Text(s.Name), s.Missed)
		}
	}
}
