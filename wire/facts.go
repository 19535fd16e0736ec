// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
)

// facts are what a Reader has read about the machine since the header. Other goroutines may read them while Next runs.
type facts struct {
	mu     sync.Mutex
	values map[string]json.RawMessage
	told   func(name string, value json.RawMessage)
	forget bool // the values
}

// Fact returns the value of a fact that changed while the recording went on, for the batch that Next returned last; nil if
// it has not changed since the recording began. The caller must not change it.
func (r *Reader) Fact(name string) json.RawMessage {
	r.facts.mu.Lock()
	defer r.facts.mu.Unlock()
	return r.facts.values[name]
}

// OnFact makes Next call changed for each fact that changes, before it returns the batches that come after the
// change. Call OnFact before the first Next. changed must not block, and must ignore names that it does
// not know.
func (r *Reader) OnFact(changed func(name string, value json.RawMessage)) { r.facts.told = changed }

func (f *facts) decode(payload []byte) error {
	c := cursor{rest: payload}
	name := string(c.short(maxName))
	if c.bad {
		return errShort
	}
	if err := checkFact(name, c.rest); err != nil {
		return err
	}
	value := json.RawMessage(bytes.Clone(c.rest))
	if err := f.set(name, value); err != nil {
		return err
	}
	if f.told != nil {
		f.told(name, value)
	}
	return nil
}

func (f *facts) set(name string, value json.RawMessage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.values[name]; !known && len(f.values) >= maxFacts {
		return errTooManyFacts
	}
	if f.values == nil {
		f.values = make(map[string]json.RawMessage)
	}
	if f.values[name] = value; f.forget {
		f.values[name] = nil
	}
	return nil
}

var errTooManyFacts = fmt.Errorf("facts of more than %d names", maxFacts)

func checkFact(name string, value []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	if len(value) > maxFact {
		return fmt.Errorf("%q has %d bytes; the limit is %d", name, len(value), maxFact)
	}
	if !json.Valid(value) {
		return fmt.Errorf("%q is not JSON", name)
	}
	return nil
}

// SetFact records that from now on the fact of that name about the machine has the given value: JSON that this package
// does not interpret. Readers ignore names that they do not know. Names are part of the format: see
// docs/recording-format.md. The header holds the facts at the beginning of the recording.
//
// SetFact returns an error for a fact that no reader would accept (of more than 1 MiB, say); the recording can go on without it.
func (w *Writer) SetFact(name string, value json.RawMessage) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	err := checkFact(name, value)
	if err == nil && !w.factNames[name] && len(w.factNames) >= maxFacts {
		err = errTooManyFacts
	}
	if err != nil {
		return fmt.Errorf("recording a fact: %w", err)
	}
	if w.factNames == nil {
		w.factNames = make(map[string]bool)
	}
	w.factNames[name] = true
	start := w.begin(frameFact, uvarintLen(uint64(len(name)))+len(name)+len(value))
	w.buf = binary.AppendUvarint(w.buf, uint64(len(name)))
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, value...)
	w.finish(start)
	return nil
}

// short reads bytes that follow their number, which is at most limit.
func (c *cursor) short(limit int) []byte {
	n := c.uvarint()
	if n > uint64(limit) {
		c.fail()
		return nil
	}
	return c.take(n)
}
