// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Source holds the annotations of a data source in typed form.
type Source struct {
	Description string
	// SupportedOutputModes are the output modes that make sense; empty for all.
	SupportedOutputModes []string
	// DefaultOutputMode is the output mode when the user names none; empty for gizmo's default.
	DefaultOutputMode string
	// ClearScreen empties the terminal before each array.
	ClearScreen bool
	// RestName names the field with the trailing data; empty for none. RestLen names the field with
	// its length; empty when all that is left counts.
	RestName, RestLen string
	// RestText names the field that has the trailing data as text; empty for none.
	RestText string
	// RestContent names the format of the trailing data; empty for none. RestTexts names the texts that follow
	// the bytes that RestLen counts.
	RestContent string
	RestTexts   []string
	// OnlyIf names the param without which a run does not have the data source; after "!", the param with which it does not. Empty: a run
	// always has it.
	OnlyIf string
	// FlushOnStop reads a map once more when the run ends.
	FlushOnStop bool
	// NetworkPolicy says that the rows are connections, from which network policies are made unless the user names another output mode.
	NetworkPolicy bool
	// Packets says which fields make up a packet.
	Packets Packets
	// Profile says how the stacks of the events become a profile.
	Profile Profile
	Metrics SourceMetrics
	// FetchInterval is the time from one array to the next. 0: a map is read only when the run ends, and
	// iterators run once, when it begins, or at its end with FlushOnStop, or each second if there is a FetchCount. Nil if it is not
	// set.
	FetchInterval *time.Duration
	// FetchCount is the number of arrays after which the run ends, 0 for no end. Nil if it is not
	// set.
	FetchCount *int
	// Other holds the annotations that no part of gizmo reads.
	Other map[string]string
}

// SourceMetrics holds the annotations of a data source about metrics.
type SourceMetrics struct {
	// Collect aggregates the events.
	Collect bool
	// Print writes the metrics as text.
	Print bool
	// CounterName is the name of a metric that counts the events; empty for none.
	CounterName, CounterDescription string
}

// OnlyIfKey is the annotation of a data source that depends on a param.
const OnlyIfKey = "only-if"

// The annotations of data sources that name output modes.
const (
	SupportedModesKey = "cli.supported-output-modes"
	DefaultModeKey    = "cli.default-output-mode"
)

// SourceKeys returns the annotations that data sources can carry.
func SourceKeys() []Key[Source] {
	return append([]Key[Source]{
		textKey(Text, "description", "Says what the events of the data source are.",
			func(s *Source) *string { return &s.Description }),
		listKey(SupportedModesKey, "Lists the output modes that make sense for the data source.",
			func(s *Source) *[]string { return &s.SupportedOutputModes }),
		textKey(Line, DefaultModeKey, "Output mode when the user names none.",
			func(s *Source) *string { return &s.DefaultOutputMode }),
		boolKey("cli.clear-screen-before", "Clears the terminal before each array.",
			func(s *Source) *bool { return &s.ClearScreen }),
		textKey(Name, "ebpf.rest.name", "Names the field that holds the trailing data of each record.",
			func(s *Source) *string { return &s.RestName }),
		textKey(Name, "ebpf.rest.len", "Names the field that holds the length of the trailing data.",
			func(s *Source) *string { return &s.RestLen }),
		textKey(Name, "ebpf.rest.text", "Names a further field, which has the trailing data as text.",
			func(s *Source) *string { return &s.RestText }),
		choiceKey("ebpf.rest.content", "Says what the trailing data is, from which gizmo then adds [fields](types.md#trailing-data).",
			func(s *Source) *string { return &s.RestContent }, choice[string]{"dns", "dns"}),
		listKey("ebpf.rest.texts", "Names fields that gizmo adds for texts after the trailing data that ebpf.rest.len counts. Each text ends with a NUL byte; if it is missing, the field is empty.",
			func(s *Source) *[]string { return &s.RestTexts }),
		textKey(Line, OnlyIfKey, "Names the variable of a param, a bool: a run has the data source only if the param is set; with `!` before the name, only if it is not. It has no effect in `--annotate`.",
			func(s *Source) *string { return &s.OnlyIf }),
		boolKey("ebpf.map.flush-on-stop", "Reads the map once more when the run ends. Iterators without a fetch-interval run only then.",
			func(s *Source) *bool { return &s.FlushOnStop }),
		boolKey("generate_networkpolicy.enable", "Makes [network policies](network-policies.md) the output when the user names no mode.",
			func(s *Source) *bool { return &s.NetworkPolicy }),
		boolKey("metrics.collect", "Aggregates the events to metrics.",
			func(s *Source) *bool { return &s.Metrics.Collect }),
		boolKey("metrics.print", "Prints the metrics as text.",
			func(s *Source) *bool { return &s.Metrics.Print }),
		textKey(Line, "metrics.implicit-counter.name", "Names a metric that counts the events.",
			func(s *Source) *string { return &s.Metrics.CounterName }),
		textKey(Text, "metrics.implicit-counter.description", "Says what that metric counts.",
			func(s *Source) *string { return &s.Metrics.CounterDescription }),
		pointerKey("fetch-interval", "Time from one array to the next. With 0, gizmo reads a map only when the run ends; it runs iterators once, when the run begins, or at its end with `ebpf.map.flush-on-stop`, or every second if there is a fetch-count.",
			Value{Kind: Duration}, readDuration, func(s *Source) **time.Duration { return &s.FetchInterval }),
		pointerKey("fetch-count", "Number of arrays after which the run ends; 0 for no end.",
			Value{Kind: Whole, Max: maxCount}, readWhole, func(s *Source) **int { return &s.FetchCount }),
	}, append(packetKeys(), profileKeys()...)...)
}

// maxCount is a limit beyond any practical value that fits an int on all architectures.
const maxCount = 1<<31 - 1

// check checks annotations that depend on each other.
func (s *Source) check() error {
	modes := s.SupportedOutputModes
	if s.DefaultOutputMode == "" || len(modes) == 0 || slices.Contains(modes, s.DefaultOutputMode) {
		return nil
	}
	return fmt.Errorf("cli.default-output-mode: %q is not among cli.supported-output-modes: %s",
		s.DefaultOutputMode, strings.Join(modes, ", "))
}
