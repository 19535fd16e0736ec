// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run/internal/export"
	"github.com/gizmo-ebpf/gizmo/run/internal/stacks"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
	"github.com/gizmo-ebpf/gizmo/sink/profile"
	"github.com/gizmo-ebpf/gizmo/socket"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// Options say what a run does. The zero value runs nothing: name one or more gadgets, and where their events go.
//
// Texts about data sources have the forms of the command line: VALUE is for all data sources, and
// NAME:VALUE,NAME:VALUE for those named. In a run of several gadgets NAME means the data sources of that name of all
// gadgets, and GADGET/NAME the data source of one gadget.
type Options struct {
	// Gadgets are the gadgets to run. If there are several, each needs a name.
	Gadgets []Gadget
	// Host holds facts about this machine; several runs can share one. Nil: the run makes its own.
	Host *host.Host
	// Sockets find the owners of sockets for gadgets that ask for them; several runs can share one. Nil: the run makes its own.
	Sockets *socket.Pool
	// Containers name the containers of events, and select some of them. Nil: events have no containers, and the run shows those of
	// the whole machine.
	Containers *Containers
	// Annotate holds annotations that override those of the gadgets: "DATASOURCE:KEY=VALUE" or
	// "DATASOURCE.FIELD:KEY=VALUE".
	Annotate []string
	// Events say which events the outputs get, and in which order.
	Events Events
	// Text writes the events as text. Nil: no text.
	Text *Text
	// Unwind is how the callers in processes are found for stacks: "fp" (the default) follows frame pointers, "dwarf" goes by the call frame
	// information of files, "auto" takes what suits the code on the stack.
	Unwind string
	// Lines adds the lines of source, and the calls that the compiler inlined, to profiles and to the recording, when the run ends. They come from the
	// debug information of files, or from the recording that is replayed.
	Lines bool
	// Metrics exports metrics. Nil: none.
	Metrics *Metrics
	// Record writes the raw events to a file, before the filters. Nil: no recording.
	Record *Recording
	// DrainTimeout is how long, once the run is told to end, an output may take nothing before the run gives it up; events that it
	// has not taken by then are lost. 0: DefaultDrainTimeout; negative: the run does not wait for an output at all.
	DrainTimeout time.Duration
	// Sinks get the events as well, each with its own account. Their names must differ; "text", "metrics" and "record" are reserved.
	Sinks []pipeline.NamedSink
	// OnLoss, if set, is called with lost events while the run goes on, at most once a second.
	OnLoss func(Loss)
	// OnAttached, if set, is called once all gadgets are attached and the recording has begun, before the run reads the first
	// event. After that the run needs only the capabilities that docs/security.md lists, so a program may give up others here.
	// An error ends the run.
	OnAttached func() error
	// Logger gets warnings and debug messages. Nil: slog.Default().
	Logger *slog.Logger

	stacks *stacks.Stacks // of a run of gadgets that have stacks
	export *export.Export // nil: there is none
}

// DefaultDrainTimeout is how long an output may take nothing at the end of a run.
const DefaultDrainTimeout = time.Second

func (o *Options) drainTimeout() time.Duration { return cmp.Or(o.DrainTimeout, DefaultDrainTimeout) }

// Gadget is one gadget of a run.
type Gadget struct {
	// Name distinguishes the gadget's instance from others of the same run; it may be empty if there is only one.
	Name string
	// Image is the gadget to run. See package catalog.
	Image *image.Image
	// Params are the values of params by their keys, as text. Other params have their defaults.
	Params map[string]string
	// FetchInterval and FetchCount say how often the run reads data sources of maps: "1s" and "10", or
	// NAME:VALUE,... Empty: as their annotations say.
	FetchInterval, FetchCount string
	// Load holds the options for loading. The run sets Params and Fetch from the fields above.
	Load gadget.LoadOptions
}

// Events say which events the outputs get, and in which order. The zero value passes all events on as they come.
type Events struct {
	// Filters and Expressions are texts for package stage/filter by data source; the empty name means all data sources.
	Filters, Expressions map[string]string
	// Sort names the fields to sort by: "a,-b" (- puts the greatest first), or NAME:a;NAME:b.
	Sort string
	// SortWindow is how long the run holds single events back to sort them; 0: sort.DefaultWindow.
	SortWindow time.Duration
	// SortMemory is the number of bytes that events may take up which are held to be sorted; 0: the default of sort.Options.MaxHeld.
	SortMemory int
	// MaxEntries is the largest number of rows of an array that the outputs get; 0: all.
	MaxEntries int
}

// Text is an output of text.
type Text struct {
	// W takes the text. A file gets it in large pieces; for a terminal, tables have the terminal's width.
	W io.Writer
	// Modes are output formats (see encode.Formats), or NAME:MODE,... Empty: the data source's default mode, or columns.
	Modes string
	// Policies is the format of network policies (see networkpolicy.Formats). Empty: networkpolicy.DefaultFormat.
	Policies string
	// PrintInterval is the time from one text of metrics to the next (see encode.Histogram); 0: DefaultPrintInterval.
	PrintInterval time.Duration
	// Fields are the fields to show: "a,b" exactly these, "+a,-b" relative to the default, or NAME:a,b;...
	Fields string
	// Block makes the run wait for a pipe or a terminal that is slower than the events, so that the kernel's buffer fills up.
	// Otherwise the run drops events that the output cannot take, and counts them.
	Block bool

	// Profile, if set, gets the profile in place of W at the end of the run, if the mode of a data source is a profile. It must not keep the
	// profile, whose stacks need much memory.
	Profile func(*profile.Profile) error

	// start is when a recording was begun.
	start time.Time
	// recorded: the events come from a recording, which can have very long rows and many data sources, so their text must be made in
	// little memory.
	recorded bool
}

// Metrics says which metrics a run exports: those of the data sources that have the annotation metrics.collect or a name here, and those about
// the run itself.
type Metrics struct {
	// Names are the scopes under which the metrics of data sources are exported: "DATASOURCE:NAME,...", or one for all data sources. The
	// default is the gadget's name, for data sources with metrics.collect.
	Names string
	// Limits limit the series of each data source. The run sets OnFull.
	Limits metrics.Options
	// To are the exporters, such as those of packages sink/metrics/endpoint and sink/metrics/otlp. Own are those that get the metrics about the run, too.
	To, Own []metrics.Exporter
}

// Recording is a file that a run writes its raw events to, for Replay.
type Recording struct {
	// Path is the file. A pipe waits for its reader. It must not be the file that the text is written to.
	Path string
	// Gadget and Version are written to the recording: the gadget as the user named it, and the version of the program.
	Gadget, Version string
}

// Loss counts events that were lost for one cause.
type Loss struct {
	Source event.SourceID
	Cause  event.Cause
	Count  uint64
}

// OptionError is an error about one of the options.
type OptionError struct {
	// Option names it as the flag of the command line is called: "filter-expr".
	Option string
	Err    error
}

// Error names the option first.
func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *OptionError) Unwrap() error { return e.Err }

// about wraps an error as one about an option.
func about(option string, err error) error {
	if err == nil {
		return nil
	}
	return &OptionError{option, err}
}

func (o *Options) logger() *slog.Logger { return cmp.Or(o.Logger, slog.Default()) }

// check returns errors about the numbers among the options.
func (e *Events) check() error {
	if e.SortWindow != 0 && e.SortWindow < sort.MinWindow {
		return about("sort-window", fmt.Errorf("want at least %v, got %v", sort.MinWindow, e.SortWindow))
	}
	if e.MaxEntries < 0 {
		return about("max-entries", fmt.Errorf("want 0 or more, got %d", e.MaxEntries))
	}
	return nil
}

// perSource splits "a" or "ds:a<sep>ds2:b" into the text for each data source. Text without a
// name applies to all.
func perSource(text, sep string, all []event.SourceID) (map[event.SourceID]string, error) {
	out := make(map[event.SourceID]string)
	if text == "" {
		return out, nil
	}
	for part := range strings.SplitSeq(text, sep) {
		name, value, named := strings.Cut(part, ":")
		if !named {
			value = part
		} else if err := mustExist(name, all); err != nil {
			return nil, err
		}
		for _, id := range all {
			if !named || id.Matches(name) {
				out[id] = value
			}
		}
	}
	return out, nil
}

// mustExist returns an error if no data source has the name.
func mustExist(name string, all []event.SourceID) error {
	if slices.ContainsFunc(all, func(id event.SourceID) bool { return id.Matches(name) }) {
		return nil
	}
	var names []string
	for _, id := range all {
		names = append(names, id.String())
	}
	return fmt.Errorf("there is no data source %q%s", name, nearest.Hint(name, names))
}
