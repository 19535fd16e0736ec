// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"fmt"
	"math"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

// plan says which fields of a data source make which metrics.
type plan struct {
	instruments []Instrument
	values      []valueField
	keys        []keyField
	reads       event.FieldSet
	// buckets is how many a series has in all.
	buckets int
}

// valueField is where an instrument's values come from.
type valueField struct {
	reader *event.Reader // nil: each row counts as 1
	form   event.Form
	// bucket is the first of the instrument's buckets in a series.
	bucket int
	slots  event.Number // the first of them
	count  int
	log2   bool // see event.InMetrics
}

// keyField is a label.
type keyField struct {
	name   string
	reader event.Reader
	form   event.Form
}

func newPlan(s *event.Schema, settings *annotation.SourceMetrics) (*plan, error) {
	p := &plan{}
	for i := range s.Fields {
		f := &s.Fields[i]
		role := roleOf(f)
		if role == event.NoRole || event.IsPrivate(f.Name) {
			continue
		}
		var err error
		if role == event.KeyRole {
			err = p.addKey(s, i)
		} else {
			err = p.addValue(s, i, role)
		}
		if err != nil {
			return nil, fmt.Errorf("metrics: field %q: %w", f.Name, err)
		}
		p.reads.Add(i)
	}
	if name := settings.CounterName; name != "" {
		p.instruments = append(p.instruments, Instrument{Name: name, Description: settings.CounterDescription, Kind: Counter})
		p.values = append(p.values, valueField{})
	}
	return p, p.check()
}

// roleOf returns what a field is: as its annotation says, or else its C type.
func roleOf(f *event.Field) event.MetricRole {
	if role := metricOf(f).Role; role != event.NoRole || f.Added {
		return role
	}
	for _, t := range []struct {
		name string
		role event.MetricRole
	}{{"gadget_counter__", event.CounterRole}, {"gadget_gauge__", event.GaugeRole}, {"gadget_histogram_slot__", event.HistogramRole}} {
		if f.HasType(t.name+"u32") || f.HasType(t.name+"u64") {
			return t.role
		}
	}
	return event.NoRole
}

// metricOf returns what the annotations of a field say about metrics.
func metricOf(f *event.Field) event.InMetrics {
	if f.Ann.Metric == nil {
		return event.InMetrics{}
	}
	return *f.Ann.Metric
}

func nameOf(f *event.Field) string { return cmp.Or(metricOf(f).Name, f.Name) }

func (p *plan) addKey(s *event.Schema, i int) error {
	reader, err := s.Reader(i)
	if err != nil {
		return err
	}
	k := keyField{nameOf(&s.Fields[i]), reader, reader.Form()}
	if k.form == event.FormArray {
		return fmt.Errorf("an array cannot be a key")
	}
	p.keys = append(p.keys, k)
	return nil
}

func (p *plan) addValue(s *event.Schema, i int, role event.MetricRole) error {
	f := &s.Fields[i]
	reader, err := s.RecordReader(i)
	if err != nil {
		return err
	}
	says := metricOf(f)
	in := Instrument{Name: nameOf(f), Description: says.Description, Unit: says.Unit, Kind: Counter}
	v := valueField{reader: &reader, form: reader.Form(), bucket: p.buckets}
	switch {
	case role == event.HistogramRole && v.form == event.FormArray:
		if err := v.findSlots(f); err != nil {
			return err
		}
		v.log2 = says.Log2Slots
		in.Kind, in.Slots, in.Boundaries = Histogram, true, v.slotBoundaries()
	case v.form != event.FormUint && v.form != event.FormInt && v.form != event.FormFloat:
		return fmt.Errorf("its values are no numbers of at most 64 bits")
	case role == event.HistogramRole:
		in.Kind, in.Boundaries = Histogram, says.Boundaries
		if len(in.Boundaries) == 0 {
			in.Boundaries = defaultBoundaries()
		}
	case role == event.GaugeRole:
		in.Kind = Gauge
	}
	in.Float = v.form == event.FormFloat
	in.Signed = in.Float || v.form == event.FormInt
	if in.Kind == Histogram {
		p.buckets += len(in.Boundaries) + 1
	}
	p.instruments = append(p.instruments, in)
	p.values = append(p.values, v)
	return nil
}

// findSlots finds the numbers of an array of slots.
func (v *valueField) findSlots(f *event.Field) error {
	size := f.ElemSize()
	if f.Kind != event.Uint || size != 4 && size != 8 {
		return fmt.Errorf("slots are numbers without sign of 32 or 64 bits")
	}
	v.slots, v.count = event.Number{Form: event.FormUint, Off: f.Off, Size: size}, int(f.Count)
	if v.count > 64 {
		return fmt.Errorf("%d slots: a number of 64 bits has 64 at most", v.count)
	}
	return nil
}

// slotBoundaries returns the upper bounds of slots: powers of two.
func (v *valueField) slotBoundaries() []float64 {
	first := 0
	if v.log2 {
		first = 1
	}
	powers := make([]float64, v.count)
	for i := range powers {
		powers[i] = math.Ldexp(1, first+i)
	}
	return powers
}

// check finds names that occur twice, or do so once they are names that Prometheus allows.
func (p *plan) check() error {
	metrics, labels := make(map[string]string), make(map[string]string)
	for i := range p.instruments {
		in := &p.instruments[i]
		if err := addName(metrics, in.PrometheusName(), in.Name); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	for i := range p.keys {
		if err := addName(labels, PrometheusLabel(p.keys[i].name), p.keys[i].name); err != nil {
			return fmt.Errorf("metrics: labels: %w", err)
		}
	}
	return nil
}

// addName notes which field has a name.
func addName(all map[string]string, name, field string) error {
	other, taken := all[name]
	switch {
	case taken && other == field:
		return fmt.Errorf("two fields have the name %q; the annotation metrics.name gives one another name", field)
	case taken:
		return fmt.Errorf("%q and %q have the same name for Prometheus, %s; the annotation metrics.name gives one another name", other, field, name)
	}
	all[name] = field
	return nil
}
