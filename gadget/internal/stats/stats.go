// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stats fills the rows of built-in data sources: it compares each reading of the machine with the one before.
package stats

import (
	"strconv"
	"time"

	"github.com/gizmo-ebpf/gizmo/builtin"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/source"
	"github.com/gizmo-ebpf/gizmo/internal/cpus"
	"github.com/gizmo-ebpf/gizmo/internal/procstat"
)

// Reader reads what the rows of one built-in data source are made of.
type Reader interface {
	source.Reader
	// Ask says which fields anybody reads. Fields that nobody reads may be empty. Before the first call, all are read.
	Ask(asked func(field string) bool)
	// Needs says which privileges the reader needs from now on.
	Needs() Needs
}

// Needs are things that a process may do only with privileges.
type Needs struct {
	// OtherProcesses: see the namespaces of processes of other users.
	OtherProcesses bool
	// OpenFiles: see what processes of other users have open.
	OpenFiles bool
	// Programs: look at all BPF programs and maps.
	Programs bool
}

// Add adds what another needs.
func (n *Needs) Add(other Needs) {
	n.OtherProcesses = n.OtherProcesses || other.OtherProcesses
	n.OpenFiles = n.OpenFiles || other.OpenFiles
	n.Programs = n.Programs || other.Programs
}

// Options say what to read.
type Options struct {
	Kind builtin.Kind
	// GadgetsOnly leaves out BPF programs that are not of a gadget.
	GadgetsOnly bool
}

// Open makes a reader.
func Open(o Options) (Reader, error) {
	switch o.Kind {
	case builtin.Processes:
		return openProcesses()
	case builtin.Cgroups:
		return openCgroups()
	default:
		return openPrograms(o)
	}
}

// Asked returns the function for Reader.Ask: whether a field of the record is in need, or what a field in need is made of.
func Asked(s *event.Schema, need event.FieldSet) func(field string) bool {
	asked := make(map[string]bool)
	for i := range s.Fields {
		f := &s.Fields[i]
		if !need.Has(i) {
			continue
		}
		asked[f.Name] = true
		if !f.Added || f.Text == nil {
			continue
		}
		for j := range s.Fields {
			if of := &s.Fields[j]; !of.Added && (f.Reads.Size == 0 || of.Off < f.Reads.Off+f.Reads.Size && f.Reads.Off < of.Off+of.Size) {
				asked[of.Name] = true
			}
		}
	}
	return func(field string) bool { return asked[field] }
}

// watch measures the time between readings.
type watch struct{ last time.Time }

// lap returns the seconds since the call before.
func (w *watch) lap() float64 {
	now := time.Now()
	seconds := now.Sub(w.last).Seconds()
	w.last = now
	return max(seconds, 1e-9)
}

// processors is how many processors are online, at least 1.
func processors() float64 {
	online, err := cpus.Online()
	if err != nil {
		return 1
	}
	return float64(max(len(online), 1))
}

// ticks converts a processor time to those in which /proc counts.
func ticks(t time.Duration) uint64 { return uint64(t / (time.Second / procstat.ClockTicks)) }

// appendCPUTime writes a processor time as minutes:seconds.
func appendCPUTime(dst []byte, t time.Duration) []byte {
	dst = strconv.AppendInt(dst, int64(t/time.Minute), 10)
	milliseconds := int64(t % time.Minute / time.Millisecond)
	dst = append(dst, ':', byte('0'+milliseconds/10_000), byte('0'+milliseconds/1000%10), '.')
	return append(dst, byte('0'+milliseconds/100%10), byte('0'+milliseconds/10%10), byte('0'+milliseconds%10))
}

// put copies text, or as much of it as there is room for, and clears the rest.
func put[T ~string | ~[]byte](dst []byte, text T) { clear(dst[copy(dst, text):]) }
