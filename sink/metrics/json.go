// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"encoding/json"
	"math"
)

// jsonMetric is one metric of a series as JSON. Numbers have all their digits.
type jsonMetric struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Unit     string            `json:"unit,omitempty"`
	Labels   map[string]string `json:"labels"`
	Overflow bool              `json:"overflow,omitempty"`
	Value    json.RawMessage   `json:"value,omitempty"`
	// Of a histogram: the number of values, their sum, the upper bounds of the buckets, and the number of values in each. The last bucket has no bound.
	Count  *uint64         `json:"count,omitempty"`
	Sum    json.RawMessage `json:"sum,omitempty"`
	Bounds []float64       `json:"bounds,omitempty"`
	Counts []uint64        `json:"counts,omitempty"`
}

// AppendJSON appends the metrics as an array of objects, one for each metric of each series, without line breaks.
func (s *Snapshot) AppendJSON(dst []byte) ([]byte, error) {
	all := []jsonMetric{} // not null
	series := s.Sorted()
	for i := range s.Instruments {
		for j := range series {
			if m, ok := s.jsonMetric(i, &series[j]); ok {
				all = append(all, m)
			}
		}
	}
	text := bytes.NewBuffer(dst)
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(all)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

func (s *Snapshot) jsonMetric(instrument int, series *Series) (m jsonMetric, ok bool) {
	in := &s.Instruments[instrument]
	value, ok := series.Value(instrument)
	if !ok {
		return m, false
	}
	m = jsonMetric{Name: in.Name, Type: in.Kind.String(), Unit: in.Unit, Labels: make(map[string]string), Overflow: series.Overflow}
	for i, text := range series.Labels {
		m.Labels[s.Labels[i]] = text
	}
	if in.Kind != Histogram {
		m.Value = value.json(in)
		return m, true
	}
	m.Count, m.Sum, m.Bounds, m.Counts = new(uint64), value.json(in), in.Boundaries, series.Buckets(instrument)
	for _, n := range m.Counts {
		*m.Count += n
	}
	return m, true
}

// json returns the number as JSON, which has no name for what is no number, or too large for one.
func (v Value) json(of *Instrument) json.RawMessage {
	if f := v.Float(of); of.Float && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return json.RawMessage("null")
	}
	return v.Append(nil, of)
}
