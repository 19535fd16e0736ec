// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is a number that the test watches, and by how much it may be larger in the last quarter of the time than in the second.
type figure struct {
	name  string
	unit  float64
	share float64 // of the number in the second quarter
	more  float64 // in addition, in units
}

const mib = 1 << 20

// The figures. Memory depends on the load of the moment and on when Go last collected garbage. The number of descriptors and of
// objects does not change at all while a run lasts.
var (
	memory      = figure{"VmRSS, MiB", mib, 0.05, 3}
	heap        = figure{"heap, MiB", mib, 0.05, 0.25}
	descriptors = figure{"descriptors", 1, 0, 0}
	objects     = figure{"BPF objects", 1, 0, 0}
	threads     = figure{"threads", 1, 0, 4} // Go starts another one if all are in system calls
	goroutines  = figure{"goroutines", 1, 0, 1}
)

// figures are all, in the order of the table's columns.
func figures() []*figure {
	return []*figure{&memory, &heap, &descriptors, &objects, &threads, &goroutines}
}

// sample is the value of a figure some time after the beginning.
type sample struct {
	at    time.Duration
	value float64
}

// enough is how many samples a quarter must have.
const enough = 3

// quarters returns the lower quartiles of the second and the last quarter of the time until end; the first quarter is for warming
// up. A leak lifts all values; the load and single values that stand out do not change a lower quartile. Without enough
// samples it returns false.
func quarters(series []sample, end time.Duration) (early, late float64, ok bool) {
	var second, last []float64
	for _, s := range series {
		switch {
		case s.at >= end/4 && s.at < end/2:
			second = append(second, s.value)
		case s.at >= end*3/4:
			last = append(last, s.value)
		}
	}
	if len(second) < enough || len(last) < enough {
		return 0, 0, false
	}
	slices.Sort(second)
	slices.Sort(last)
	return second[len(second)/4], last[len(last)/4], true
}

// grows reports whether a figure has grown beyond its bound after a time. In a short time a process warms up, and the load
// of other tests counts for more: on a busy machine, all events that a run may hold wait at once in one quarter, and never in another.
func (f *figure) grows(early, late, held float64, after time.Duration) bool {
	more := f.more * f.unit
	if after < time.Minute {
		more = 3*more + held
	}
	return late > early+early*f.share+more
}

// row is a line of the table: a run that lasts, the repeated runs of a kind, or the embedder.
type row struct {
	name    string
	runs    int
	account account
	series  map[*figure][]sample // with an entry for each figure that must be watched
	held    float64              // memory that events take up while they are held, at most, in bytes
}

func newRow(name string, watched ...*figure) *row {
	r := &row{name: name, series: make(map[*figure][]sample)}
	for _, f := range watched {
		r.series[f] = nil
	}
	return r
}

func newEmbedderRow() *row { return newRow("many runs in one process", figures()...) }

// add adds a value of now to a figure, if it is watched.
func (r *row) add(f *figure, began time.Time, value float64) {
	if s, watched := r.series[f]; watched {
		r.series[f] = append(s, sample{time.Since(began), value})
	}
}

// judge returns what has grown in the time until end, or was not watched for long enough.
func (r *row) judge(end time.Duration) (wrong []error) {
	for _, f := range figures() {
		s, watched := r.series[f]
		early, late, ok := quarters(s, end)
		switch {
		case !watched:
		case !ok:
			wrong = append(wrong, fmt.Errorf("%s: %s: too few values for a judgement", r.name, f.name))
		case f.grows(early, late, r.heldBy(f), end):
			wrong = append(wrong, fmt.Errorf("%s: %s grew from %.1f to %.1f", r.name, f.name, early/f.unit, late/f.unit))
		}
	}
	return wrong
}

// heldBy returns how much of a figure held events may be.
func (r *row) heldBy(f *figure) float64 {
	if f == &memory {
		return r.held
	}
	return 0
}

// table shows the accounts, and each figure in the second and the last quarter of the time.
func table(rows []*row, end time.Duration) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\truns\tproduced\tdelivered\tfiltered\tlost")
	for _, f := range figures() {
		fmt.Fprint(w, "\t", f.name)
	}
	for _, r := range rows {
		a := r.account
		fmt.Fprintf(w, "\n%s\t%d\t%d\t%d\t%d\t%d", r.name, r.runs, a.produced, a.delivered, a.filtered, a.lost)
		for _, f := range figures() {
			cell := "–"
			if s := r.series[f]; s != nil {
				early, late, _ := quarters(s, end)
				cell = fmt.Sprintf("%.4g → %.4g", early/f.unit, late/f.unit)
			}
			fmt.Fprint(w, "\t", cell)
		}
	}
	w.Flush()
	return text.String()
}
