// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"strings"
	"testing"
)

func TestSelector(t *testing.T) {
	t.Parallel()
	all := map[string]*Container{
		"web": {Identity: Identity{ID: "0123456789abcdef", Name: "web", Image: "nginx:1"}},
		"pod": {Identity: Identity{ID: "fedcba9876543210", Name: "k8s_front", Image: "shop:2", Pod: Pod{
			Namespace: "shop", Name: "web-0", Container: "front", Labels: map[string]string{"app": "shop", "tier": "web"},
		}}},
		"db": {Identity: Identity{ID: "ffff", Name: "db", Image: "postgres", Pod: Pod{Namespace: "data", Name: "db-0", Container: "db"}}},
	}
	for text, want := range map[string]string{
		"":                                         "db pod web",
		"containername=web":                        "web",
		"containername=web, front":                 "pod web",
		"containername=!web":                       "db pod",
		"containername=db,!web,front":              "db pod",
		"runtime-containername=k8s_front":          "pod",
		"k8s-namespace=shop":                       "pod",
		"k8s-namespace=!shop":                      "db web",
		"k8s-namespace=shop,data k8s-podname=db-0": "db",
		"k8s-containername=front":                  "pod",
		"runtime-containerid=0123456789ab":         "web",
		"runtime-containerid=0123456789":           "",
		"runtime-containerid=ffff":                 "db",
		"runtime-containerimagename=nginx:1":       "web",
		"k8s-selector=app=shop":                    "pod",
		"k8s-selector=app==shop,tier=web":          "pod",
		"k8s-selector=app=shop,tier!=web":          "",
		"k8s-selector=tier!=web":                   "db",
		"k8s-selector=missing=x":                   "",
	} {
		texts := make(map[string]string)
		for part := range strings.SplitSeq(strings.ReplaceAll(text, ", ", ","), " ") {
			name, value, _ := strings.Cut(part, "=")
			texts[name] = value
		}
		s, err := NewSelector(texts)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, name := range []string{"db", "pod", "web"} {
			if s.Matches(all[name]) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
		if s.IsAll() != (text == "") {
			t.Errorf("%s: IsAll %v", text, s.IsAll())
		}
	}
	for text, want := range map[string]string{
		"containername=,a": "empty value", "containername=!": "empty value", "k8s-selector=app": "KEY=VALUE", "k8s-selector==x": "KEY=VALUE",
	} {
		name, value, _ := strings.Cut(text, "=")
		if _, err := NewSelector(map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", text, err)
		}
	}
	var none *Selector
	if !none.Matches(all["web"]) || !none.IsAll() {
		t.Error("no selector selects all")
	}
}

func TestSelectorShowsNoSandbox(t *testing.T) {
	web, err := NewSelector(map[string]string{"containername": "web"})
	if err != nil {
		t.Fatal(err)
	}
	named := func(name string, sandbox bool) *Container {
		return &Container{Identity: Identity{Name: name, Pod: Pod{Sandbox: sandbox}}}
	}
	for _, s := range []*Selector{nil, web} {
		if !s.Shows(named("web", false)) || s.Shows(named("web", true)) {
			t.Errorf("%+v: shows the container: %v, the sandbox: %v", s, s.Shows(named("web", false)), s.Shows(named("web", true)))
		}
	}
	if web.Shows(named("db", false)) {
		t.Error("a container that is not selected is shown")
	}
}
