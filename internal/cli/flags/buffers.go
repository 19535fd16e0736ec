// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/gadget"
)

// Buffers are the flags about the buffers between the kernel and the output.
type Buffers struct {
	size    int
	latency time.Duration
	shards  int
	slow    string
	// Stats: show how often programs ran.
	Stats bool
	flags *pflag.FlagSet
}

// Register adds the flags.
func (f *Buffers) Register(fs *pflag.FlagSet) {
	f.flags = fs
	fs.IntVar(&f.size, "buffer-size", 0, "size in bytes of the buffer between the kernel and gizmo; 0: 8 MiB for each CPU, at most 1/64 of the memory or 256 MiB")
	fs.DurationVar(&f.latency, "latency", gadget.DefaultLatency, "how long an event may wait in the buffer for others; 0: no wait, which costs more CPU time")
	fs.IntVar(&f.shards, "shards", 0, "split the buffer into this many, for groups of CPUs; 0: one for every 16 CPUs")
	fs.StringVar(&f.slow, "slow-output", dropEvents, "when a pipe or terminal is too slow for the events: drop events and count them, or block, so that the kernel's buffer fills up")
	fs.BoolVar(&f.Stats, "stats", false, "at the end show how often each of the gadget's programs ran and for how long; counting costs each run some nanoseconds; --stats=false: metrics do not have that either")
}

// The values of --slow-output.
const (
	dropEvents = "drop"
	blockRun   = "block"
)

// minBufferSize is a page.
const minBufferSize = 4 << 10

// Check returns errors about the flags before gizmo uses the kernel.
func (f *Buffers) Check() error {
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

// NoStats reports whether the user does not want the runs of programs to be counted, not even for metrics.
func (f *Buffers) NoStats() bool { return !f.Stats && f.flags.Changed("stats") }

// Apply sets the options from the flags.
func (f *Buffers) Apply(o *gadget.LoadOptions) {
	o.BufferSize, o.Latency, o.Shards = f.size, f.latency, f.shards
	if f.latency == 0 {
		o.Latency = gadget.AtOnce
	}
}

// Blocks reports whether the run waits for a slow output, so that the kernel's buffer fills up.
func (f *Buffers) Blocks() bool { return f.slow == blockRun }
