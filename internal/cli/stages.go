// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// stageFlags are the flags that say which events come through, and in which order.
type stageFlags struct {
	// filters and exprs are texts by data source; the empty name stands for all.
	filters, exprs map[string]*string
	sortBy         string
	sortWindow     time.Duration
	maxEntries     int
}

// stageList is the stages of a run in the order in which events pass them.
type stageList struct {
	stages  []pipeline.Stage
	filters []*filter.Stage
	sorting sort.Options
}

// addNeed adds to need the fields of s that the stages themselves read.
func (l *stageList) addNeed(s *event.Schema, need *event.FieldSet) error {
	for _, f := range l.filters {
		f.AddNeed(s, need)
	}
	fields, err := l.sorting.Fields(s)
	if err != nil {
		return fmt.Errorf("--sort: %w", err)
	}
	for _, i := range fields {
		need.Add(i)
	}
	return nil
}

// wholeRecording is the window in which a replay sorts: as long as it takes. How fast a recording
// is read should not decide the order.
const wholeRecording = 24 * time.Hour

func (f *stageFlags) register(fs *pflag.FlagSet, window time.Duration) {
	f.filters, f.exprs = map[string]*string{"": new(string)}, map[string]*string{"": new(string)}
	fs.StringVarP(f.filters[""], "filter", "F", "", "show only events for which all of these hold: FIELD==VALUE,...; also != > >= < <= ~ !~ (docs/filters.md)")
	fs.StringVarP(f.exprs[""], "filter-expr", "E", "", "show only events for which this expression holds: proc.pid == 12 && fname startsWith \"/etc\"")
	fs.StringVar(&f.sortBy, "sort", "", "sort by these fields: a,-b (- puts the greatest first); DATASOURCE:a;... for each data source")
	fs.DurationVar(&f.sortWindow, "sort-window", window, "how long single events are held to be sorted")
	fs.IntVar(&f.maxEntries, "max-entries", 0, "rows of an array to show at most; 0: all")
}

// registerSource adds the flags that are for one data source.
func (f *stageFlags) registerSource(fs *pflag.FlagSet, name string) {
	f.filters[name], f.exprs[name] = new(string), new(string)
	fs.StringVar(f.filters[name], "filter."+name, "", "--filter for data source "+name)
	fs.StringVar(f.exprs[name], "filter-expr."+name, "", "--filter-expr for data source "+name)
	for _, flag := range []string{"filter.", "filter-expr."} {
		_ = fs.MarkHidden(flag + name) // known from --filter
	}
}

// build makes the stages of a run, and wraps the sources whose events have to be held back to be
// sorted.
func (f *stageFlags) build(schemas []*event.Schema, sources []pipeline.Source) (*stageList, error) {
	options, err := f.sortOptions(schemas)
	if err != nil {
		return nil, err
	}
	streams, err := sort.NewStreams(options)
	if err != nil {
		return nil, fmt.Errorf("--sort: %w", err)
	}
	filters, err := filter.New(given(f.filters))
	if err != nil {
		return nil, fmt.Errorf("--filter: %w", err)
	}
	exprs, err := filter.NewExpr(given(f.exprs))
	if err != nil {
		return nil, fmt.Errorf("--filter-expr: %w", err)
	}
	arrays, err := sort.NewArrays(options)
	if err != nil {
		return nil, fmt.Errorf("--sort: %w", err)
	}
	for i := range sources {
		sources[i] = streams.Wrap(sources[i])
	}
	return &stageList{
		stages:  []pipeline.Stage{streams, filters, exprs, arrays},
		filters: []*filter.Stage{filters, exprs},
		sorting: options,
	}, nil
}

func (f *stageFlags) sortOptions(schemas []*event.Schema) (sort.Options, error) {
	o := sort.Options{Keys: make(map[string][]sort.Key), Window: f.sortWindow, MaxEntries: f.maxEntries}
	if f.sortWindow < sort.MinWindow {
		return o, fmt.Errorf("--sort-window: want at least %v, got %v", sort.MinWindow, f.sortWindow)
	}
	if f.maxEntries < 0 {
		return o, fmt.Errorf("--max-entries: want 0 or more, got %d", f.maxEntries)
	}
	texts, err := perSource(f.sortBy, ";", schemas)
	if err != nil {
		return o, fmt.Errorf("--sort: %w", err)
	}
	for name, text := range texts {
		if o.Keys[name], err = sort.Parse(text); err != nil {
			return o, fmt.Errorf("--sort: %w", err)
		}
	}
	return o, nil
}

// given leaves out what the user did not say.
func given(flags map[string]*string) map[string]string {
	texts := make(map[string]string)
	for name, text := range flags {
		if *text != "" {
			texts[name] = *text
		}
	}
	return texts
}
