// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

// The text output is a sink like any other, whether it writes itself or through a queue.
func TestTextContract(t *testing.T) {
	for name, newSink := range map[string]func(t testing.TB, ids []event.SourceID) (pipeline.Sink, func() []byte){
		"at once": textAtOnce, "through a queue": textQueued,
	} {
		t.Run(name, func(t *testing.T) {
			pipelinetest.Sink(t, pipelinetest.SinkCase{
				New: func(t testing.TB, schemas []*event.Schema) (pipeline.Sink, func() []pipelinetest.Delivered) {
					sink, text := newSink(t, idsOf(schemas))
					return sink, func() []pipelinetest.Delivered { return deliveredJSON(t, schemas, text()) }
				},
			})
		})
	}
}

func jsonSink(t testing.TB, w io.Writer, ids []event.SourceID) *textSink {
	t.Helper()
	sink, err := newTextSink(&Text{W: w, Modes: "json"}, nil, ids)
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

// textAtOnce returns a sink that writes to memory, and a function that returns the text so far.
func textAtOnce(t testing.TB, ids []event.SourceID) (pipeline.Sink, func() []byte) {
	var out bytes.Buffer
	return jsonSink(t, &out, ids), out.Bytes
}

// textQueued returns a sink for a pipe that is read without a pause. The returned function waits for its end.
func textQueued(t testing.TB, ids []event.SourceID) (pipeline.Sink, func() []byte) {
	r, w := io.Pipe()
	sink := jsonSink(t, w, ids)
	sink.q = newQueue(plainOutput{w}, true, func() {})
	read := make(chan []byte)
	go func() {
		text, err := io.ReadAll(r)
		if err != nil {
			t.Errorf("reading the pipe: %v", err)
		}
		read <- text
	}()
	return booked{sink}, func() []byte {
		if err := errors.Join(sink.q.close(), w.Close()); err != nil {
			t.Errorf("ending the output: %v", err)
		}
		return <-read
	}
}

// booked gives each data source books when it is bound, as the runner does.
type booked struct{ *textSink }

func (b booked) Bind(s *event.Schema) (event.FieldSet, error) {
	reads, err := b.textSink.Bind(s)
	if err == nil {
		lateText(b).Book(s, new(tally))
	}
	return reads, err
}

// deliveredJSON reads events and arrays of events. The upper half of a serial says which data source an event is of.
func deliveredJSON(t testing.TB, schemas []*event.Schema, text []byte) (all []pipelinetest.Delivered) {
	t.Helper()
	type values struct {
		Serial     uint64
		Text, Mark string
	}
	for in := json.NewDecoder(bytes.NewReader(text)); ; {
		var raw json.RawMessage
		err := in.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("after %d events: %v", len(all), err)
		}
		events := make([]values, 1)
		if raw[0] == '[' {
			err = json.Unmarshal(raw, &events)
		} else {
			err = json.Unmarshal(raw, &events[0])
		}
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		for _, e := range events {
			source := schemas[e.Serial>>32].ID()
			all = append(all, pipelinetest.Delivered{Source: source, Serial: e.Serial, Text: e.Text, Mark: e.Mark})
		}
	}
}
