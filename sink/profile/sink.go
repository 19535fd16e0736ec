// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"cmp"
	"strings"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// DefaultMemory is how many bytes a sink uses for the stacks and labels that it keeps apart. It is enough for 20,000 stacks of 30
// frames: TestMemory.
const DefaultMemory = 20 << 20

// Sink adds up the events of one data source. It counts an event as delivered when [Sink.Settle] says that the profile has
// been written, and as lost if there is no memory for another stack.
type Sink struct {
	settings annotation.Profile
	memory   int
	atOnce   bool
	each     func(*symbol.Stack) // gets each stack; may be nil

	mu     sync.Mutex
	name   string
	single bool
	plan   *plan
	books  pipeline.Books
	sums   *sums
	// inArray: the last batch was a part of an array, and not its end.
	inArray bool
	waiting int // rows that the profile has and that are not counted
	// begin is when events began to come, end when they ended. Zero: unknown.
	begin, end time.Time
}

// New returns a sink for one data source with these annotations. Memory limits the bytes that it uses, approximately; 0:
// DefaultMemory.
func New(settings annotation.Profile, memory int) *Sink {
	return &Sink{settings: settings, memory: cmp.Or(memory, DefaultMemory), books: noBooks{}}
}

// ReadAtOnce says that the handles of a batch may have no stacks any more when the next batch comes. Otherwise the sink reads stacks when their table
// is about to forget some, and for Profile. Call it before the first Write.
func (s *Sink) ReadAtOnce() { s.atOnce = true }

// EachStack has do called with each stack of the profile, while the sink reads it. Call it before Bind.
func (s *Sink) EachStack(do func(*symbol.Stack)) { s.each = do }

// noBooks counts nothing.
type noBooks struct{}

func (noBooks) Delivered(int)         {}
func (noBooks) Lost(int, event.Cause) {}

// Bind implements pipeline.Sink.
func (s *Sink) Bind(schema *event.Schema) (event.FieldSet, error) {
	p, err := newPlan(schema, &s.settings)
	if err != nil {
		return event.FieldSet{}, err
	}
	s.name, s.single, s.plan = schema.Name, schema.Single, p
	s.sums = newSums(p, s.memory)
	s.sums.each = s.each
	for i := range p.stacks {
		if t, ok := p.stacks[i].stacks.(interface{ BeforeDrop(func()) }); ok && !s.atOnce {
			t.BeforeDrop(s.readAll)
		}
	}
	return p.reads, nil
}

// Book implements pipeline.Late.
func (s *Sink) Book(_ *event.Schema, books pipeline.Books) { s.books = books }

// Write implements pipeline.Sink.
func (s *Sink) Write(b *event.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settings.Latest && !s.single && !s.inArray {
		s.sums.forget()
	}
	s.inArray = b.Continues
	lost := 0
	for row := range b.Rows {
		if !s.sums.add(b, row) {
			lost++
		}
	}
	s.waiting += len(b.Rows) - lost
	if b.Flush || s.atOnce {
		lost += s.fold()
	}
	s.books.Lost(lost, event.ProfileFull)
	return nil
}

// Begin says when events began to come.
func (s *Sink) Begin(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin = at
}

// End says when events ended. Only the first call counts.
func (s *Sink) End(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end.IsZero() {
		s.end = at
	}
}

// readAll reads the stacks of all handles, which may have none later.
func (s *Sink) readAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books.Lost(s.fold(), event.ProfileFull)
}

// fold reads the stacks of all handles, and returns how many rows there is no memory for.
func (s *Sink) fold() (lost int) {
	lost = s.sums.fold()
	s.waiting -= lost
	return lost
}

// Profile returns what the sink has added up. It must be called after the last Write, and while the schema's tables still have their values.
func (s *Sink) Profile() *Profile {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books.Lost(s.fold(), event.ProfileFull)
	p := &Profile{Name: cmp.Or(s.settings.Name, s.name), Start: s.begin}
	if !s.begin.IsZero() && !s.end.IsZero() {
		p.Duration = s.end.Sub(s.begin)
	}
	p.Types, p.Default = s.types()
	if f := s.settings.Frequency; f > 0 {
		p.Period = second / int64(f)
	}
	p.Samples = s.sums.samples(func(rows, value int64) []int64 { return s.values(p, rows, value) })
	p.sort()
	return p
}

// Settle counts the events of the profile: as delivered if lost is nil, otherwise as lost by that cause.
func (s *Sink) Settle(lost *event.Cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lost == nil {
		s.books.Delivered(s.waiting)
	} else {
		s.books.Lost(s.waiting, *lost)
	}
	s.waiting = 0
}

const second = 1_000_000_000

// types returns what the values of the profile are.
func (s *Sink) types() (types []ValueType, byDefault int) {
	if s.settings.Frequency > 0 {
		return []ValueType{{"samples", "count"}, {"cpu", "nanoseconds"}}, 1
	}
	if s.plan.value == nil {
		return []ValueType{{cmp.Or(s.settings.Type, "events"), cmp.Or(s.settings.Unit, "count")}}, 0
	}
	f := s.plan.value.Field()
	value := ValueType{cmp.Or(s.settings.Type, strings.TrimSuffix(f.Base(), "_raw")), cmp.Or(s.settings.Unit, unitOf(f), "count")}
	if !s.single { // the rows of an array are no events
		return []ValueType{value}, 0
	}
	return []ValueType{{"events", "count"}, value}, 1
}

// values returns the values of a sample, in the order of types.
func (s *Sink) values(p *Profile, rows, value int64) []int64 {
	switch {
	case p.Period > 0:
		return []int64{value, scale(value, int64(s.settings.Frequency))}
	case len(p.Types) == 2:
		return []int64{rows, value}
	}
	return []int64{value}
}

// scale returns the nanoseconds of so many samples, without the rounding error of a period.
func scale(samples, frequency int64) int64 {
	whole, rest := samples/frequency, samples%frequency
	if limit := int64(1<<63-1) / second; whole > limit-1 {
		return 1<<63 - 1
	}
	return whole*second + rest*second/frequency
}
