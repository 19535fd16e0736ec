// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/internal/cli/account"
	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/networkpolicy"
)

// eventFlags are the flags that running a gadget and replaying a recording have in common: which events the output
// gets, in which order, and how they are written.
type eventFlags struct {
	modes, fields string
	file          string // for the output
	policies      string // the format of network policies
	lines         bool   // of source
	// filters and exprs are texts by data source; the empty name means all.
	filters, exprs map[string]*string
	sortBy         string
	sortWindow     time.Duration
	maxEntries     int
	drainTimeout   time.Duration
	printInterval  time.Duration
}

// Flags of output modes: for the format of network policies, and for metrics.
const (
	flagPolicies      = "policy-format"
	flagPrintInterval = "otel-metrics-print-interval"
)

const linesUsage = "add lines of source and inlined calls to profiles, and to the recording (docs/profiling.md)"

// wholeRecording is the window in which a replay sorts. It is longer than any replay, so that the order
// does not depend on how fast the recording is read.
const wholeRecording = 24 * time.Hour

// register adds the flags; window is the default time for which single events are held back to sort them.
func (f *eventFlags) register(fs *pflag.FlagSet, window time.Duration) {
	fs.StringVarP(&f.modes, "output", "o", "", "output mode, or DATASOURCE:MODE,...: "+strings.Join(encode.Names(), ", "))
	fs.StringVar(&f.file, "output-file", "", "write the output to this file instead of standard output")
	fs.StringVar(&f.fields, "fields", "", "fields to show: a,b exactly these; +a,-b relative to the default; DATASOURCE:a,b;... for each data source")
	fs.StringVar(&f.policies, flagPolicies, networkpolicy.DefaultFormat, "format of network policies (-o networkpolicy): "+strings.Join(networkpolicy.Formats(), ", "))
	fs.BoolVar(&f.lines, "lines", false, linesUsage)
	f.filters, f.exprs = map[string]*string{"": new(string)}, map[string]*string{"": new(string)}
	fs.DurationVar(&f.printInterval, flagPrintInterval, run.DefaultPrintInterval, "time from one text of metrics to the next (-o histogram, metrics-json)")
	fs.StringVarP(f.filters[""], "filter", "F", "", "show only events for which all of these hold: FIELD==VALUE,...; also != > >= < <= ~ !~ (docs/filters.md)")
	fs.StringVarP(f.exprs[""], "filter-expr", "E", "", "show only events for which this expression holds: proc.pid == 12 && fname startsWith \"/etc\"")
	fs.StringVar(&f.sortBy, "sort", "", "sort by these fields: a,-b (- puts the greatest first); DATASOURCE:a;... for each data source")
	fs.DurationVar(&f.sortWindow, "sort-window", window, "how long gizmo holds single events back to sort them")
	fs.DurationVar(&f.drainTimeout, "drain-timeout", run.DefaultDrainTimeout, "how long, at the end of the run, gizmo waits for a pipe or a terminal that takes nothing; events that it could not write are counted as lost")
	fs.IntVar(&f.maxEntries, "max-entries", 0, "show at most this many rows of each array; 0: all")
}

// registerSource adds the flags for one data source.
func (f *eventFlags) registerSource(fs *pflag.FlagSet, name string) {
	f.filters[name], f.exprs[name] = new(string), new(string)
	fs.StringVar(f.filters[name], "filter."+name, "", "--filter for data source "+name)
	fs.StringVar(f.exprs[name], "filter-expr."+name, "", "--filter-expr for data source "+name)
	for _, flag := range []string{"filter.", "filter-expr."} {
		_ = fs.MarkHidden(flag + name) // known from --filter
	}
}

// options returns the options of the flags, for text on the standard output.
func (a *app) options(f *eventFlags) run.Options {
	window := f.sortWindow
	if window == 0 {
		window = -1 // run reports it as too short; 0 would be the default
	}
	drain := f.drainTimeout
	if drain == 0 {
		drain = -1 // do not wait at all; 0 would be the default
	}
	return run.Options{
		DrainTimeout: drain,
		Events: run.Events{
			Filters: flags.Given(f.filters), Expressions: flags.Given(f.exprs),
			Sort: f.sortBy, SortWindow: window, MaxEntries: f.maxEntries,
		},
		Text:   &run.Text{W: a.Out, Modes: f.modes, Fields: f.fields, Policies: f.policies, PrintInterval: f.printInterval},
		Lines:  f.lines,
		OnLoss: func(l run.Loss) { account.Loss(a.Err, l) },
		Logger: a.logger,
	}
}
