// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode/pcapng"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// Options are what the user decides about the output of one data source.
type Options struct {
	// Fields are the indices in Schema.Fields of the fields to write, as [Select] returns them.
	// Formats that do not sort fields, such as columns, keep their order. A struct without its own
	// text means its members. Nil means the format's default, [DefaultFields].
	Fields []int
	// Width is the number of cells in a line of the terminal. 0 means that the output is not a
	// terminal, and that nothing is scaled.
	Width int
	// Spill limits the memory that text takes. Append calls it whenever it has 256 KiB of text, between rows and within long values. Spill writes
	// the text, or the beginning of it, and returns the rest, to which Append adds. Nil: Append makes all text at once.
	Spill func(text []byte) []byte
	// Memos limits the memory of encoders that share it: it is the number of groups of values whose texts they may still begin to remember, which
	// makes them faster. A group takes up to 140 KiB. Nil: no limit.
	Memos *int
	// Packets are the annotations of a data source whose events are packets, which formats with Packets need.
	Packets *annotation.Packets
}

// Encoder writes the events of one data source. It is for one run and is not safe for use by
// several goroutines at once.
//
// Both methods append to dst and return it, as append does. They may use all of dst's spare
// capacity as scratch space.
type Encoder interface {
	// Head appends the text before the first event, or before each array.
	Head(dst []byte) []byte
	// Append appends all rows of b: each is an event, or, if the schema is not Single, the batch
	// is one array, or the next part of one (see event.Batch.Continues). It keeps nothing of b.
	Append(dst []byte, b *event.Batch) []byte
}

// Format is one row of the table: a way to write events.
type Format struct {
	Name string
	// Doc is one sentence for users.
	Doc string
	// AllFields says that the format writes every field by default, rather than the visible ones.
	AllFields bool
	// Lines says that each event is one line, and that all other lines belong to the head.
	Lines bool
	// NoFields says that the format writes no field at all.
	NoFields bool
	// Packets says that the format writes packets, as bytes that are not text. The output cannot hold anything else: neither other
	// formats nor other data sources. The encoder is a [PacketEncoder].
	Packets bool
	// Profile says that the format writes the stacks of all events together, when the run ends. As with Packets, the output cannot hold anything
	// else. Bind returns an error: package sink/profile writes profiles.
	Profile bool
	// NoTerminal says that the format is not for terminals.
	NoTerminal bool
	// Report says that the text is made of all events of a run together. A sink does so, and Bind returns an error.
	Report bool
	// Bind prepares for the events of a schema, which must not change from then on.
	Bind func(*event.Schema, Options) (Encoder, error)
}

// PacketEncoder is the encoder of a format with Packets.
type PacketEncoder interface {
	Encoder
	// Lost counts packets that were lost before the next one. It may be called while other methods run.
	Lost(n uint64)
	// Taken says whether the output has taken what Append has appended since the last call of Taken, or it was thrown away.
	Taken(ok bool)
}

// Formats returns the table of output formats that write any events, in the order in which they are documented.
func Formats() []Format {
	return []Format{columnsFormat(), jsonFormat(), jsonPrettyFormat(), yamlFormat(), noneFormat()}
}

// PacketFormats returns the table of output formats for data sources whose events are packets.
func PacketFormats() []Format { return []Format{pcapngFormat()} }

func pcapngFormat() Format {
	return Format{
		Name:    "pcap-ng",
		Doc:     "A file of packets for Wireshark, tshark and tcpdump, with processes and containers as comments.",
		Packets: true, NoTerminal: true,
		Bind: func(s *event.Schema, o Options) (Encoder, error) {
			fields := o.Fields
			if fields == nil {
				fields = pcapng.DefaultFields(s)
			}
			e, err := pcapng.Bind(s, o.Packets, fields)
			if err != nil {
				return nil, err
			}
			return e, nil
		},
	}
}

// The names of the output formats that are made of all events: that of package sink/networkpolicy, and those of package sink/metrics.
const (
	NetworkPolicy = "networkpolicy"
	Histogram     = "histogram"
	MetricsJSON   = "metrics-json"
)

// ReportFormats returns the table of output formats with Report.
func ReportFormats() []Format {
	return []Format{{
		Name:   NetworkPolicy,
		Doc:    "The Kubernetes network policies that allow the connections of pods, at the end of the run.",
		Report: true,
		Bind: func(*event.Schema, Options) (Encoder, error) {
			return nil, errors.New(NetworkPolicy + " is made of the connections of a run")
		},
	}, {
		Name:   Histogram,
		Doc:    "The metrics of the data source: histograms as bar charts, counters and gauges as lines; at intervals and at the end of the run.",
		Report: true,
		Bind: func(*event.Schema, Options) (Encoder, error) {
			return nil, errors.New(Histogram + " is made of all events of a run")
		},
	}, {
		Name:   MetricsJSON,
		Doc:    "The metrics of the data source as JSON: one line with an array of all of them, at intervals and at the end of the run.",
		Report: true,
		Bind: func(*event.Schema, Options) (Encoder, error) {
			return nil, errors.New(MetricsJSON + " is made of all events of a run")
		},
	}}
}

// ProfileFormats returns the table of output formats for data sources whose events have stacks.
func ProfileFormats() []Format {
	profile := func(name, doc string, noTerminal bool) Format {
		return Format{Name: name, Doc: doc, Profile: true, NoTerminal: noTerminal, Bind: func(*event.Schema, Options) (Encoder, error) {
			return nil, fmt.Errorf("%s is for stacks of events", name)
		}}
	}
	return []Format{
		profile("pprof", "At the end, a profile of the stacks of all events for \"go tool pprof\" and others that read its format.", true),
		profile("folded", "At the end, a line for each stack: its functions with semicolons between them, and how often it came.", false),
		profile("flamegraph", "At the end, a page for browsers that draws the stacks of all events.", true),
	}
}

// NamesOf returns the names of formats, in their order.
func NamesOf(formats []Format) []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.Name)
	}
	return names
}

// Names returns the names of all formats, those of [Formats] first.
func Names() []string { return NamesOf(all()) }

func all() []Format {
	return slices.Concat(Formats(), PacketFormats(), ProfileFormats(), ReportFormats())
}

// Lookup returns the format with the given name.
func Lookup(name string) (Format, error) {
	for _, f := range all() {
		if f.Name == name {
			return f, nil
		}
	}
	names := Names()
	return Format{}, fmt.Errorf("unknown output format %q (known: %s)%s",
		name, strings.Join(names, ", "), nearest.Hint(name, names))
}
