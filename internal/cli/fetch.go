// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// The flags that say how often maps are read.
const (
	flagMapInterval = "map-fetch-interval"
	flagMapCount    = "map-fetch-count"
)

// fetchFlags are the flags of gadgets with data sources that are read from maps.
type fetchFlags struct {
	fs                *pflag.FlagSet
	intervals, counts string
}

// registerFetch adds the flags if the image has such data sources.
func registerFetch(fs *pflag.FlagSet, img *image.Image) *fetchFlags {
	f := &fetchFlags{fs: fs}
	var intervals, counts []string
	for _, d := range mapIterators(img) {
		fetch := d.Fetch(&d.Settings)
		intervals = append(intervals, intervalText(fetch.Interval))
		counts = append(counts, strconv.Itoa(fetch.Count))
	}
	if len(intervals) == 0 {
		return f
	}
	names := namesOf(mapIterators(img))
	fs.StringVar(&f.intervals, flagMapInterval, together(names, intervals),
		"time from one array to the next: a number of seconds or a duration like 500ms; 0: one array, when the run ends; or DATASOURCE:TIME,...")
	fs.StringVar(&f.counts, flagMapCount, together(names, counts),
		"number of arrays after which to end; 0: when interrupted; or DATASOURCE:COUNT,...")
	return f
}

// mapIterators returns the data sources that are read from maps.
func mapIterators(img *image.Image) []*image.DataSource {
	var list []*image.DataSource
	for i := range img.DataSources {
		if img.DataSources[i].Kind == image.MapIterator {
			list = append(list, &img.DataSources[i])
		}
	}
	return list
}

func namesOf(list []*image.DataSource) []string {
	var names []string
	for _, d := range list {
		names = append(names, d.Schema.Name)
	}
	return names
}

func intervalText(t time.Duration) string {
	switch t {
	case 0:
		t = image.DefaultFetchInterval
	case image.AtEnd:
		return "0"
	}
	return t.String()
}

// together writes what holds for each data source: once if it is the same for all.
func together(names, values []string) string {
	var parts []string
	same := true
	for i, v := range values {
		parts = append(parts, names[i]+":"+v)
		same = same && v == values[0]
	}
	if same {
		return values[0]
	}
	return strings.Join(parts, ",")
}

// fetches returns how often each data source of arrays is read: as the flags say, else as the
// annotations do.
func (f *fetchFlags) fetches(img *image.Image, specs map[string]*annotation.Spec) (map[string]image.Fetch, error) {
	fetches := make(map[string]image.Fetch)
	for i := range img.DataSources {
		d := &img.DataSources[i]
		if d.Kind == image.Tracer {
			continue
		}
		settings, err := specs[d.Schema.Name].ParseSource()
		if err != nil {
			return nil, fmt.Errorf("data source %q: %w", d.Schema.Name, err)
		}
		fetches[d.Schema.Name] = d.Fetch(&settings)
	}
	names := namesOf(mapIterators(img))
	if err := f.apply(flagMapInterval, names, fetches, setInterval); err != nil {
		return nil, fmt.Errorf("--%s: %w", flagMapInterval, err)
	}
	if err := f.apply(flagMapCount, names, fetches, setCount); err != nil {
		return nil, fmt.Errorf("--%s: %w", flagMapCount, err)
	}
	return fetches, nil
}

// apply sets what a flag says about data sources.
func (f *fetchFlags) apply(flag string, names []string, fetches map[string]image.Fetch, set func(*image.Fetch, string) error) error {
	if !f.fs.Changed(flag) {
		return nil
	}
	texts, err := perName(f.fs.Lookup(flag).Value.String(), ",", names)
	if err != nil {
		return err
	}
	for _, name := range names {
		text, ok := texts[name]
		if !ok {
			continue
		}
		fetch := fetches[name]
		if err := set(&fetch, text); err != nil {
			return err
		}
		fetches[name] = fetch
	}
	return nil
}

func setInterval(f *image.Fetch, text string) error {
	var t seconds
	if err := t.Set(text); err != nil {
		return err
	}
	f.Interval = time.Duration(t)
	if t == 0 {
		f.Interval = image.AtEnd
	}
	return nil
}

func setCount(f *image.Fetch, text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > math.MaxInt32 {
		return fmt.Errorf("want a whole number from 0 to %d, got %q", math.MaxInt32, text)
	}
	f.Count = int(n)
	return nil
}
