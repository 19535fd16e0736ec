// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// Fetch says how often a data source of arrays is read.
type Fetch struct {
	// Interval is the time from one array to the next; 0 means the default. See also AtEnd.
	Interval time.Duration
	// First is the time from the start to the first array of a built-in data source, if that is less than the interval; 0: the
	// interval.
	First time.Duration
	// Count is the number of arrays after which the source is at its end; 0: it goes on as long as the
	// run.
	Count int
	// Flush makes a last array when the run ends.
	Flush bool
}

const (
	// DefaultFetchInterval is the default time from one array to the next.
	DefaultFetchInterval = time.Second
	// AtEnd, as an interval, means one array, when the run ends.
	AtEnd time.Duration = -1
)

// Fetch returns how often the data source is read if these are its annotations: a map every second
// unless they say otherwise; iterators once, at the start, or at the end if they say that the end has an array; built-in data sources as
// gadget.yaml says elsewhere.
func (d *DataSource) Fetch(a *annotation.Source) Fetch {
	f := d.BuiltIn.fetch
	f.Flush = a.FlushOnStop
	switch t := a.FetchInterval; {
	case t != nil && *t > 0:
		f.Interval = *t
	case d.Kind == Iterator && f.Flush && a.FetchCount == nil:
		f.Interval = AtEnd
	case d.Kind == Iterator:
		f.Count = 1
	case t != nil:
		f.Interval = AtEnd
	}
	if a.FetchCount != nil {
		f.Count = *a.FetchCount
	}
	return f
}

// IsReadAgain reports whether the data source shows what maps have, and an array is made when the run ends, or at intervals: users choose when.
func (img *Image) IsReadAgain(d *DataSource) bool {
	if d.Kind == MapIterator {
		return true
	}
	walks := func(program string) bool { return img.Program(program).IterMap != "" }
	return d.Settings.FlushOnStop && slices.ContainsFunc(d.Iterators, walks)
}
