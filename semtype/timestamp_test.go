// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
)

func TestTimestamp(t *testing.T) {
	t.Parallel()
	const boot = 1_721_943_000_000_000_000
	env := testEnv()
	env.Clock = clock.New(boot)
	s := layout(scalar("ts_raw", "gadget_timestamp", event.Uint, 8))
	apply(t, s, env, annotations{})
	for _, tt := range []struct {
		value     uint64
		text, raw string
	}{
		{247_136_974_948, "2024-07-25T21:34:07.136974948Z", "1721943247136974948"},
		{247_000_000_000, "2024-07-25T21:34:07.000000000Z", "1721943247000000000"},
		{1, "2024-07-25T21:30:00.000000001Z", "1721943000000000001"},
		{0, "", "0"},
	} {
		rec := le(tt.value, 8)
		if got := text(t, s, "ts", rec); got != tt.text {
			t.Errorf("%d reads %q, want %q", tt.value, got, tt.text)
		}
		if got := text(t, s, "ts_raw", rec); got != tt.raw {
			t.Errorf("%d is shown as %q, want %q", tt.value, got, tt.raw)
		}
	}
	if f := field(t, s, "ts_raw"); f.Kind != event.Uint {
		t.Errorf("the raw field has become a %v", f.Kind)
	}
}

func TestTimestampFollowsTheClock(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Clock = clock.New(0)
	s := layout(scalar("ts_raw", "gadget_timestamp", event.Uint, 8))
	apply(t, s, env, annotations{})
	early, late := le(5e9, 8), le(6e9, 8)
	check := func(rec []byte, wantText, wantRaw string) {
		t.Helper()
		if got, raw := text(t, s, "ts", rec), text(t, s, "ts_raw", rec); got != wantText || raw != wantRaw {
			t.Errorf("it reads %q and %q, want %q and %q", got, raw, wantText, wantRaw)
		}
	}
	check(early, "1970-01-01T00:00:05.000000000Z", "5000000000")
	check(late, "1970-01-01T00:00:06.000000000Z", "6000000000")
	if !env.Clock.Add(clock.Step{Boot: 6e9, Offset: 3600e9}) {
		t.Fatal("the step was refused")
	}
	check(early, "1970-01-01T00:00:05.000000000Z", "5000000000")
	check(late, "1970-01-01T01:00:06.000000000Z", "3606000000000")
}

func TestTimestampWithoutTarget(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Clock = clock.New(100)
	s := layout(scalar("started", "gadget_timestamp", event.Uint, 8))
	apply(t, s, env, annotations{})
	if got := text(t, s, "started", le(7, 8)); got != "107" || len(s.Fields) != 1 {
		t.Errorf("reads %q, with %d fields", got, len(s.Fields))
	}
}

// TestTimestampAgainstTime compares all layouts with package time, forwards and backwards in time.
func TestTimestampAgainstTime(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(11, 12))
	for _, layout := range []string{"", defaultLayout, time.RFC3339, time.StampMicro, "15:04:05.000 MST"} {
		write := appendMoment(layout)
		if layout == "" {
			layout = defaultLayout
		}
		moments := []int64{0, 1, -1, 999_999_999, 1e9, -1e9, math.MaxInt64, math.MinInt64}
		for range 20_000 {
			moments = append(moments, int64(random.Uint64())>>random.UintN(60))
		}
		for _, n := range moments {
			want := time.Unix(0, n).UTC().Format(layout)
			if got := string(write(nil, n)); got != want {
				t.Fatalf("%d reads %q, want %q", n, got, want)
			}
		}
	}
}

func TestTimestampFormat(t *testing.T) {
	t.Parallel()
	s := layout(scalar("ts_raw", "gadget_timestamp", event.Uint, 8))
	apply(t, s, testEnv(), annotations{fields: map[string]func(*event.Annotations){
		"ts_raw": func(a *event.Annotations) { a.Format = time.TimeOnly },
	}})
	rec := le(uint64(86_399e9), 8)
	if got := text(t, s, "ts", rec); got != "23:59:59" {
		t.Errorf("got %q", got)
	}
	if got := text(t, s, "ts_raw", rec); got != strconv.Itoa(86_399e9) {
		t.Errorf("raw: got %q", got)
	}
}
