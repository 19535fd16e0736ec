// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"slices"
	"strconv"
)

// barWidth is how many characters the bar of the largest bucket has.
const barWidth = 40

// AppendText appends the metrics as people read them: one line for each counter and gauge, a bar chart for each histogram. Names and
// labels are quoted, so that nothing in them reaches a terminal as it is.
func (s *Snapshot) AppendText(dst []byte) []byte {
	series := s.Sorted()
	for i := range s.Instruments {
		for j := range series {
			dst = s.appendMetric(dst, i, &series[j])
		}
	}
	return dst
}

func (s *Snapshot) appendMetric(dst []byte, instrument int, series *Series) []byte {
	in := &s.Instruments[instrument]
	value, ok := series.Value(instrument)
	if !ok {
		return dst
	}
	dst = s.appendName(dst, in, series)
	if in.Kind != Histogram {
		dst = value.Append(append(dst, ' '), in)
		if in.Unit != "" {
			dst = append(append(dst, ' '), in.Unit...)
		}
		return append(dst, '\n')
	}
	dst = appendChart(append(dst, '\n'), in, series.Buckets(instrument))
	return append(dst, '\n')
}

// appendName appends the name and the labels as Prometheus writes them: latency{comm="cat"}. An empty label is left out: to Prometheus it is
// the same as none.
func (s *Snapshot) appendName(dst []byte, in *Instrument, series *Series) []byte {
	dst = append(dst, in.Name...)
	labels, values := s.Labels, series.Labels
	if series.Overflow {
		labels, values = []string{OverflowLabel}, []string{OverflowValue}
	}
	before := len(dst)
	for i := range labels {
		if values[i] == "" {
			continue
		}
		separator := byte(',')
		if len(dst) == before {
			separator = '{'
		}
		dst = strconv.AppendQuote(append(append(append(dst, separator), labels[i]...), '='), values[i])
	}
	if len(dst) > before {
		dst = append(dst, '}')
	}
	return dst
}

// appendChart appends a row for each bucket, with its lower and upper bound. The last bucket, which has no upper bound, is left
// out if it is empty.
func appendChart(dst []byte, in *Instrument, buckets []uint64) []byte {
	dst = fmt.Appendf(dst, "        %-16s : count    distribution\n", in.Unit)
	most := max(1, slices.Max(buckets))
	lower := "0"
	if len(in.Boundaries) > 0 && in.Boundaries[0] <= 0 {
		lower = "-Inf"
	}
	for i, n := range buckets {
		upper := "+Inf"
		if i < len(in.Boundaries) {
			upper = strconv.FormatFloat(in.Boundaries[i], 'f', -1, 64)
		} else if n == 0 {
			break
		}
		dst = fmt.Appendf(dst, "%10s -> %-10s : %-8d |%-*s|\n", lower, upper, n, barWidth, bar(n, most))
		lower = upper
	}
	return dst
}

// bar returns a bar for n of most values.
func bar(n, most uint64) string {
	const full = "****************************************"
	return full[:int(float64(n)/float64(most)*barWidth)]
}

// Report is a sink that gives its metrics as text.
type Report struct {
	*Sink
	// JSON: as one line of JSON, rather than as people read them.
	JSON     bool
	snapshot Snapshot
}

// Append appends the text of what the sink has at this moment.
func (r *Report) Append(dst []byte) ([]byte, error) {
	r.Snapshot(&r.snapshot)
	if !r.JSON {
		return r.snapshot.AppendText(dst), nil
	}
	dst, err := r.snapshot.AppendJSON(dst)
	return append(dst, '\n'), err
}
