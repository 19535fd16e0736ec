// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// Options say what a run does. The zero value runs nothing: name one or more gadgets, and where their events go.
//
// Texts that concern data sources have the forms that the command line knows: VALUE is for all of them, and
// NAME:VALUE,NAME:VALUE for those named. In a run of several gadgets NAME means the data sources of that name of all
// gadgets, and GADGET/NAME that of one.
type Options struct {
	// Gadgets are what is run. One of several needs a name.
	Gadgets []Gadget
	// Host is this machine, for several runs to share. Nil: the run looks at the machine by itself.
	Host *host.Host
	// Containers name the containers that events are of, and select some. Nil: the run knows nothing of containers, and events of
	// the whole machine come.
	Containers *Containers
	// Annotate are annotations that prevail over those of the gadgets: "DATASOURCE:KEY=VALUE" or
	// "DATASOURCE.FIELD:KEY=VALUE".
	Annotate []string
	// Events say which events come through, and in which order.
	Events Events
	// Text writes the events as text. Nil: no text.
	Text *Text
	// Record writes the raw events to a file, before any is filtered. Nil: no recording.
	Record *Recording
	// DrainTimeout is how long, once the run is told to end, an output may take nothing before it is given up; what it has not
	// taken by then is lost. 0: DefaultDrainTimeout; less: it is given up as soon as it would have to be waited for.
	DrainTimeout time.Duration
	// Sinks get the events as well, each with an account of its own. Their names must differ, "text" and "record" are taken.
	Sinks []pipeline.NamedSink
	// OnLoss, if set, is called with lost events while the run goes on, at most once a second.
	OnLoss func(Loss)
	// OnAttached, if set, is called once all gadgets are attached and the recording has begun, before the first event is
	// read. From then on the run needs no more than docs/security.md says, so a program may give up capabilities here.
	// An error ends the run.
	OnAttached func() error
	// Logger takes what is worth a warning or helps in the search for a mistake. Nil: slog.Default().
	Logger *slog.Logger
}

// DefaultDrainTimeout is how long an output may take nothing at the end of a run.
const DefaultDrainTimeout = time.Second

func (o *Options) drainTimeout() time.Duration { return cmp.Or(o.DrainTimeout, DefaultDrainTimeout) }

// Gadget is one gadget of a run.
type Gadget struct {
	// Name tells the gadget's instance from others of the same run; it may be empty if there is but one.
	Name string
	// Image is what is run. See package catalog.
	Image *image.Image
	// Params are the values of params by their keys, as text. Others have their defaults.
	Params map[string]string
	// FetchInterval and FetchCount say how often data sources that are read from maps are: "1s" and "10", or
	// NAME:VALUE,... Empty: as their annotations say.
	FetchInterval, FetchCount string
	// Load are the choices that concern the kernel. Params and Fetch are made of the above.
	Load gadget.LoadOptions
}

// Events say which events come through, and in which order. The zero value lets all pass as they come.
type Events struct {
	// Filters and Expressions are texts of package stage/filter by data source; the empty name stands for all.
	Filters, Expressions map[string]string
	// Sort names the fields to sort by: "a,-b" (- puts the greatest first), or NAME:a;NAME:b.
	Sort string
	// SortWindow is how long single events are held to be sorted; 0: sort.DefaultWindow.
	SortWindow time.Duration
	// MaxEntries is the number of rows of an array that are kept; 0: all.
	MaxEntries int
}

// Text is an output of text.
type Text struct {
	// W takes the text. A file gets it in large pieces, a terminal decides the width of tables.
	W io.Writer
	// Modes are output formats (see encode.Formats), or NAME:MODE,... Empty: what the data source wants, or columns.
	Modes string
	// Fields are the fields to show: "a,b" exactly these, "+a,-b" relative to the default, or NAME:a,b;...
	Fields string
	// Block has the run wait for a pipe or a terminal that takes less than comes, so that the kernel's buffer fills up.
	// Otherwise such events are dropped and counted.
	Block bool
}

// Recording is a file that a run writes its raw events to, for Replay.
type Recording struct {
	// Path is the file. A pipe waits for its reader. It must not be the file that the text is written to.
	Path string
	// Gadget and Version are noted in the recording: the gadget as the user named it, and the version of the program.
	Gadget, Version string
}

// Loss is a number of events that were lost by one cause.
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

// Unwrap returns what is wrong.
func (e *OptionError) Unwrap() error { return e.Err }

// about makes an error one about an option.
func about(option string, err error) error {
	if err == nil {
		return nil
	}
	return &OptionError{option, err}
}

func (o *Options) logger() *slog.Logger { return cmp.Or(o.Logger, slog.Default()) }

// checkEvents returns what is wrong with the numbers among the options.
func (e *Events) check() error {
	if e.SortWindow != 0 && e.SortWindow < sort.MinWindow {
		return about("sort-window", fmt.Errorf("want at least %v, got %v", sort.MinWindow, e.SortWindow))
	}
	if e.MaxEntries < 0 {
		return about("max-entries", fmt.Errorf("want 0 or more, got %d", e.MaxEntries))
	}
	return nil
}
