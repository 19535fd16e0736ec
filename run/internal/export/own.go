// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"maps"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// OwnScope is the scope of the metrics about gizmo itself.
const OwnScope = "gizmo"

// The labels of the metrics about gizmo itself.
const (
	labelGadget  = "gadget" // in a run of several
	labelSource  = "datasource"
	labelSink    = "sink"
	labelCause   = "cause"
	labelProgram = "program"
	labelHook    = "hook"
)

// Ledger returns the account of a run as metrics.
func Ledger(l *pipeline.Ledger) []metrics.Reader {
	totals := []metrics.Instrument{
		{Name: "gizmo.events.produced", Description: "Events that the gadget made, whatever became of them."},
		{Name: "gizmo.events.delivered", Description: "Events that the sink has taken."},
		{Name: "gizmo.events.filtered", Description: "Events that filters removed before the sink."},
	}
	losses := []metrics.Instrument{{Name: "gizmo.events.lost", Description: "Events that were lost, by cause."}}
	return []metrics.Reader{
		metrics.NewReadings(totals, []string{labelGadget, labelSource, labelSink}, func() []metrics.Reading {
			var all []metrics.Reading
			for _, a := range l.Accounts() {
				t := a.Totals()
				all = append(all, metrics.Reading{Labels: labelsOf(a), Values: []metrics.Value{metrics.Whole(t.Produced()), metrics.Whole(t.Delivered), metrics.Whole(t.Filtered)}})
			}
			return all
		}),
		metrics.NewReadings(losses, []string{labelGadget, labelSource, labelSink, labelCause}, func() []metrics.Reading {
			var all []metrics.Reading
			for _, a := range l.Accounts() {
				for cause, n := range lossesOf(a) {
					all = append(all, metrics.Reading{Labels: append(labelsOf(a), cause.String()), Values: []metrics.Value{metrics.Whole(n)}})
				}
			}
			return all
		}),
	}
}

func labelsOf(a *pipeline.Account) []string {
	return []string{a.Source().Gadget, a.Source().Name, a.Sink()}
}

// lossesOf returns the losses of an account by cause. There are always the events that the kernel's buffer had no room for, even if there are none: a
// counter that begins at its first loss hides that loss from whoever looks at how fast it grows.
func lossesOf(a *pipeline.Account) map[event.Cause]uint64 {
	losses := map[event.Cause]uint64{event.BufferFull: 0}
	for _, l := range a.Losses() {
		losses[l.Cause] += l.Count
	}
	return losses
}

// Programs returns what the kernel counts about the programs of gadgets as metrics. Read returns the counts by gadget; it may fail.
func Programs(read func() (map[string][]gadget.ProgramStats, error)) metrics.Reader {
	instruments := []metrics.Instrument{
		{Name: "gizmo.program.runs", Description: "How often the program ran."},
		{Name: "gizmo.program.run.time", Description: "How long the program ran in all.", Unit: "s", Float: true},
		{Name: "gizmo.program.missed", Description: "How often the kernel did not run the program, because it was running on that CPU already."},
		{Name: "gizmo.program.instructions", Description: "Instructions that the verifier left in the program.", Kind: metrics.Gauge},
		{Name: "gizmo.program.verified.instructions", Description: "Instructions that the verifier processed.", Kind: metrics.Gauge},
	}
	return metrics.NewReadings(instruments, []string{labelGadget, labelProgram, labelHook}, func() []metrics.Reading {
		programs, _ := read() // those that the kernel does report
		var all []metrics.Reading
		for _, name := range slices.Sorted(maps.Keys(programs)) {
			for _, p := range programs[name] {
				all = append(all, metrics.Reading{Labels: []string{name, p.Name, p.Section}, Values: []metrics.Value{
					metrics.Whole(p.Runs), metrics.Fraction(p.Time.Seconds()), metrics.Whole(p.Missed),
					metrics.Whole(uint64(p.Instructions)), metrics.Whole(uint64(p.Verified)),
				}})
			}
		}
		return all
	})
}

// usage returns how many series there are.
func (e *Export) usage() metrics.Reader {
	instruments := []metrics.Instrument{
		{Name: "gizmo.metrics.series", Description: "Series of the data source.", Kind: metrics.Gauge},
		{Name: "gizmo.metrics.overflow.rows", Description: "Rows that had no room for a series of their own."},
	}
	return metrics.NewReadings(instruments, []string{labelGadget, labelSource}, func() []metrics.Reading {
		var all []metrics.Reading
		for _, s := range e.sources {
			series, beyond := e.sinks[s.ID].Usage()
			all = append(all, metrics.Reading{Labels: []string{s.ID.Gadget, s.ID.Name}, Values: []metrics.Value{metrics.Whole(uint64(series)), metrics.Whole(beyond)}})
		}
		return all
	})
}
