// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package structs_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/sink/structs"
)

func schema() *event.Schema {
	texts := &event.Texts{}
	s := &event.Schema{Name: "ds", Single: true, Size: 24, Fields: []event.Field{
		{Name: "pid", Kind: event.Uint, Off: 0, Size: 4},
		{Name: "delta", Kind: event.Int, Off: 4, Size: 4},
		{Name: "big", Kind: event.Uint, Off: 8, Size: 8},
		{Name: "ok", Kind: event.Bool, Off: 16, Size: 1},
		{Name: "comm", Kind: event.String, Off: 17, Size: 4},
		{Name: "raw", Kind: event.Bytes, Off: 21, Size: 2},
	}}
	s.AddColumn(event.Field{Name: "pod", Kind: event.String, Table: texts})
	return s
}

func batch(s *event.Schema) *event.Batch {
	return &event.Batch{Schema: s, Rows: [][]byte{
		{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 9, 0, 0, 0, 0, 0, 0, 0, 1, 'a', 'b', 0, 0, 0xca, 0xfe, 0},
	}}
}

func TestMembersGetTheirFields(t *testing.T) {
	t.Parallel()
	type values struct {
		PID    uint32        `event:"pid"`
		AsText string        `event:"pid"`
		Delta  int           `event:"delta"`
		Float  float64       `event:"delta"`
		Time   time.Duration `event:"big"`
		OK     bool          `event:"ok"`
		Comm   string        `event:"comm"`
		Bytes  []byte        `event:"raw"`
		Hex    string        `event:"raw"`
		Pod    string        `event:"pod"`
		Other  int
	}
	var got []string
	sink := structs.Each(func(v *values) error {
		got = append(got, fmt.Sprintf("%+v", *v))
		return nil
	})
	s := schema()
	reads, err := sink.Bind(s)
	if err != nil || reads.Len() != len(s.Fields) {
		t.Fatalf("reads %d fields, error %v", reads.Len(), err)
	}
	if err := sink.Write(batch(s)); err != nil {
		t.Fatal(err)
	}
	want := "{PID:1 AsText:1 Delta:-1 Float:-1 Time:9ns OK:true Comm:ab Bytes:[202 254] Hex:cafe Pod: Other:0}"
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %q\nwant %s", got, want)
	}
}

func TestMembersThatDoNotFit(t *testing.T) {
	t.Parallel()
	type wrong struct {
		A uint32   `event:"comm"`
		B uint32   `event:"pdi"`
		C []byte   `event:"pid"`
		D bool     `event:"pid"`
		E struct{} `event:"pid"`
		f int      `event:"pid"`
	}
	_ = wrong{}.f
	_, err := structs.Each(func(*wrong) error { return nil }).Bind(schema())
	for _, want := range []string{
		`member A of structs_test.wrong: a uint32 cannot hold field "comm", which is string`, `no field "pdi"; did you mean "pid"?`,
		"member C", "member D", "member E", "member f of structs_test.wrong: it is not exported",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if _, err := structs.Each(func(*int) error { return nil }).Bind(schema()); err == nil {
		t.Error("an int is taken for a struct")
	}
}

func TestNumbersThatAreTooLarge(t *testing.T) {
	t.Parallel()
	s := schema()
	b := batch(s)
	b.Rows[0][1] = 1 // pid 257
	b.Rows[0][15] = 1 << 7
	for name, sink := range map[string]interface {
		Bind(*event.Schema) (event.FieldSet, error)
		Write(*event.Batch) error
	}{
		"257 does not fit a uint8": structs.Each(func(*struct {
			X uint8 `event:"pid"`
		}) error {
			return nil
		}),
		"-1 does not fit a uint64": structs.Each(func(*struct {
			X uint64 `event:"delta"`
		}) error {
			return nil
		}),
		fmt.Sprintf("%d does not fit a int64", uint64(math.MaxInt64)+10): structs.Each(func(*struct {
			X int64 `event:"big"`
		}) error {
			return nil
		}),
	} {
		if _, err := sink.Bind(s); err != nil {
			t.Fatal(err)
		}
		if err := sink.Write(b); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}

func TestFirstErrorIsReturned(t *testing.T) {
	t.Parallel()
	s, stop := schema(), errors.New("enough")
	calls := 0
	sink := structs.Each(func(*struct{}) error { calls++; return stop })
	if _, err := sink.Bind(s); err != nil {
		t.Fatal(err)
	}
	b := batch(s)
	b.Rows = append(b.Rows, b.Rows[0])
	if err := sink.Write(b); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}
