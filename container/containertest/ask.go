// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containertest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

func saysWhoItIs(t testing.TB, c *Case) {
	n, rt := c.open(t)
	defer rt.closing(t)
	if rt.Name() == "" {
		t.Errorf("the runtime has no name")
	}
	if rt.Socket() != n.Socket {
		t.Errorf("Socket returns %q, want %q", rt.Socket(), n.Socket)
	}
	if rank := rt.Rank(); rank < container.RankBundle || rank > container.RankHigh {
		t.Errorf("Rank returns %d, which is none", rank)
	}
}

// same compares what the client says with what the runtime says.
func same(t testing.TB, call string, got, want container.Identity) {
	t.Helper()
	if !got.StartedAt.Equal(want.StartedAt) {
		t.Errorf("%s: it started at %v, want %v", call, got.StartedAt, want.StartedAt)
	}
	got.StartedAt = want.StartedAt // may be in another time zone
	for _, labels := range []*map[string]string{&got.Labels, &want.Labels, &got.Pod.Labels, &want.Pod.Labels} {
		if len(*labels) == 0 {
			*labels = nil
		}
	}
	got.Bundle = "" // which runtimes do not say
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got\n\t%.2000s\nwant\n\t%.2000s", call, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
	}
}

func listReturnsWhatRuns(t testing.TB, c *Case) {
	n, rt := c.open(t)
	defer rt.closing(t)
	labels := map[string]string{"tier": "web", "empty": ""}
	n.running(t, Wanted{"list-first", labels}, func(first string) {
		n.running(t, Wanted{"list-second", nil}, func(second string) {
			n.with(t, Wanted{"list-created", nil}, func(created string) {
				n.with(t, Wanted{"list-ended", nil}, func(ended string) {
					n.Start(t, ended)
					n.End(t, ended)
					if n.Pause != nil {
						n.Pause(t, second)
					}
					all := rt.list(t)
					for _, id := range []string{first, second} {
						if want := n.Says(t, id); want.PID == 0 || want.StartedAt.IsZero() != c.Undated || want.Name == "" || want.Image == "" {
							t.Errorf("the neighbour says too little: %+v", want)
						}
						same(t, "List", all[id], n.Says(t, id))
						if all[id].Labels == nil {
							t.Errorf("List does not know the labels; a container without labels has an empty map")
						}
					}
					for what, id := range map[string]string{"has not been started": created, "has ended": ended} {
						if _, ok := all[id]; ok {
							t.Errorf("List has a container that %s", what)
						}
					}
				})
			})
		})
	})
}

// unusedID is an id that no container has.
var unusedID = strings.Repeat("0123456789abcdef", 4)

func getKnowsCreated(t testing.TB, c *Case) {
	n, rt := c.open(t)
	defer rt.closing(t)
	n.with(t, Wanted{"get", map[string]string{"tier": "web"}}, func(id string) {
		before := rt.get(t, id)
		if before.PID != 0 || !before.StartedAt.IsZero() {
			t.Errorf("Get before the start: process %d, started at %v", before.PID, before.StartedAt)
		}
		n.Start(t, id)
		want := n.Says(t, id)
		running := rt.get(t, id)
		same(t, "Get", running, want)
		same(t, "List", rt.list(t)[id], running)
		before.PID, before.StartedAt = want.PID, want.StartedAt
		before.ImageDigest = cmp.Or(before.ImageDigest, want.ImageDigest) // which takes a runtime's time
		same(t, "Get before the start", before, want)
		n.End(t, id)
		if got := rt.get(t, id); got.ID != id || got.Name != want.Name || got.PID != 0 || !got.StartedAt.IsZero() {
			t.Errorf("Get after the end: %+v", got)
		}
		others := []string{"", unusedID, id[:len(id)-1], id + "0", "../" + id, id + "/json?", ".*", "\x1b[31m", strings.Repeat("a", 1<<20)}
		if want.Name != id {
			others = append(others, want.Name, "/"+want.Name)
		}
		for _, other := range others {
			_, err := rt.Get(rt.soon(t), other)
			if !errors.Is(err, container.ErrUnknown) {
				t.Errorf("Get of %.80q: %v, want ErrUnknown", other, err)
			} else if text := err.Error(); len(text) > 2*MaxText || strings.Contains(text, "\x1b") {
				t.Errorf("Get of %.80q: an error of %d bytes: %.80q", other, len(text), text)
			}
		}
	})
	n.with(t, Wanted{"removed", nil}, func(id string) {
		n.Remove(t, id)
		if _, err := rt.Get(rt.soon(t), id); !errors.Is(err, container.ErrUnknown) {
			t.Errorf("Get of a container that was removed: %v, want ErrUnknown", err)
		}
	})
}

// atOnce is how long a busy machine may take for what does not wait.
const atOnce = 3 * time.Second

func getDoesNotWait(t testing.TB, c *Case) {
	n, rt := c.open(t)
	defer rt.closing(t)
	if n.Begin == nil {
		return
	}
	wanted := Wanted{"starting", map[string]string{"tier": "web"}}
	n.with(t, wanted, func(id string) {
		finish := n.Begin(t, id)
		asked := time.Now()
		got, err := rt.Get(rt.soon(t), id)
		took := time.Since(asked)
		finish()
		defer n.End(t, id)
		if err != nil {
			t.Fatalf("Get during the start: %v", err)
		}
		if took > atOnce {
			t.Errorf("Get took %v during a start", took)
		}
		want := n.Says(t, id)
		if got.ID != id || got.Name != want.Name || got.Image != want.Image || got.Runtime != want.Runtime || !maps.Equal(got.Labels, want.Labels) {
			t.Errorf("Get during the start: got\n\t%+v\nwant\n\t%+v", got, want)
		}
		if got.PID != 0 && got.PID != want.PID {
			t.Errorf("Get during the start: process %d, want %d or 0", got.PID, want.PID)
		}
	})
}

func textIsBounded(t testing.TB, c *Case) {
	n, rt := c.open(t)
	defer rt.closing(t)
	const megabyte = 1 << 20
	odd := map[string]string{
		"escape": "\x1b]0;title\a\x1b[31mred\n\r\t", "\u202eturned": "\u200b", "\x1b[2J": "key", "quote\"'\\": "日本語 {}[],\"",
	}
	large := maps.Clone(odd)
	large["a-long"] = strings.Repeat("ä", (cmp.Or(n.MaxLabel, megabyte)-len("a-long"))/2)
	large[strings.Repeat("k", cmp.Or(n.MaxLabel, megabyte/16)-len("long key"))] = "long key"
	many := make(map[string]string)
	for i := range 4 * MaxLabels / 50 {
		many[fmt.Sprintf("label-%05d-%s", i, strings.Repeat("x", 30))] = "12345678"
	}
	name := "large"
	if n.AnyName {
		name = "\x1b[31m\"" + strings.Repeat("n", megabyte)
	}
	n.running(t, Wanted{name, large}, func(id string) {
		n.running(t, Wanted{"many", many}, func(crowd string) {
			all := rt.list(t)
			for _, id := range []string{id, crowd} {
				same(t, "Get", rt.get(t, id), all[id])
			}
			got := all[id]
			if size := len(got.Name); size == 0 || size > MaxText || !strings.HasPrefix(name, got.Name) && n.AnyName {
				t.Errorf("a name of %d bytes: %.40q", size, got.Name)
			}
			for key, value := range odd {
				if got.Labels[key] != value {
					t.Errorf("label %q is %q, want %q", key, got.Labels[key], value)
				}
			}
			if long, ok := got.Labels["a-long"]; !ok || len(long) < min(MaxText, len(large["a-long"]))-4 {
				t.Errorf("a long label has %d bytes left", len(long))
			} else if !strings.HasPrefix(large["a-long"], long) {
				t.Errorf("a long label is not the beginning of what it was")
			}
			if len(all[crowd].Labels) == 0 {
				t.Errorf("of many labels none is left")
			}
			for _, id := range []string{id, crowd} {
				bounded(t, all[id].Labels)
			}
			if n.MaxLabel == 0 {
				keepsNoLargeText(t, rt, id, megabyte)
			}
		})
	})
}

func bounded(t testing.TB, labels map[string]string) {
	t.Helper()
	size := 0
	for key, value := range labels {
		size += len(key) + len(value)
		if len(key) > MaxText || len(value) > MaxText {
			t.Errorf("a label with a key of %d bytes and a value of %d", len(key), len(value))
		}
	}
	if size > MaxLabels {
		t.Errorf("the labels of a container have %d bytes", size)
	}
}
