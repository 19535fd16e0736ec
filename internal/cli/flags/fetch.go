// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// Fetch are the flags of gadgets with data sources that are read from maps.
type Fetch struct {
	fs                *pflag.FlagSet
	intervals, counts string
}

// The flags that say how often maps are read.
const (
	flagMapInterval = "map-fetch-interval"
	flagMapCount    = "map-fetch-count"
)

// RegisterFetch adds the flags if the image has such data sources.
func RegisterFetch(fs *pflag.FlagSet, img *image.Image) *Fetch {
	f := &Fetch{fs: fs}
	var names, intervals, counts []string
	for i := range img.DataSources {
		d := &img.DataSources[i]
		if !img.IsReadAgain(d) {
			continue
		}
		fetch := d.Fetch(&d.Settings)
		names = append(names, d.Schema.Name)
		intervals = append(intervals, intervalText(fetch.Interval))
		counts = append(counts, strconv.Itoa(fetch.Count))
	}
	if len(names) == 0 {
		return f
	}
	fs.StringVar(&f.intervals, flagMapInterval, together(names, intervals),
		"time from one array to the next: a number of seconds or a duration like 500ms; 0: one array, when the run ends; or DATASOURCE:TIME,...")
	fs.StringVar(&f.counts, flagMapCount, together(names, counts),
		"end the run after this many arrays; 0: when interrupted; or DATASOURCE:COUNT,...")
	return f
}

// Given returns the values that the user set.
func (f *Fetch) Given() (interval, count string) {
	if f.fs.Changed(flagMapInterval) {
		interval = f.intervals
	}
	if f.fs.Changed(flagMapCount) {
		count = f.counts
	}
	return interval, count
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

// together writes the value for each data source, or only one if it is the same for all.
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
