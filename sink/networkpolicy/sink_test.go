// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package networkpolicy

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The pods of the shop. Web has two pods of one Deployment, which differ in the labels that its controller writes, and each pod has an
// address of its own.
var (
	web1   = aPod{"shop", "web-7d4b9-x1", "app=web,pod-template-hash=7d4b9", "web", "web"}
	web2   = aPod{"shop", "web-55aa1-x2", "pod-template-hash=55aa1,app=web", "web", "web"}
	db     = aPod{"shop", "db-0", "app=db,apps.kubernetes.io/pod-index=0,controller-revision-hash=db-1,statefulset.kubernetes.io/pod-name=db-0", "db", "db"}
	batch  = aPod{"shop", "nightly-29-abc", "batch.kubernetes.io/job-name=nightly-29,job-name=nightly-29,controller-uid=1-2", "nightly-29", "job"}
	lone   = aPod{"shop", "lone", "run=lone", "", "lone"}
	prom   = aPod{"monitoring", "prometheus-0", "app=prometheus", "prometheus", "prometheus"}
	docker = aPod{container: "legacy"}
	host   = aPod{}
)

func shop() []row {
	return []row{
		{web1, "10.1.0.30", 5432, tcp, true, "10.1.0.10"},
		{web2, "10.1.0.30", 5432, tcp, true, "10.1.0.11"},
		{web1, "10.96.0.10", 53, udp, true, "10.1.0.10"},
		{web1, "10.96.0.10", 53, tcp, true, "10.1.0.10"},
		{web1, "203.0.113.9", 80, tcp, false, "10.1.0.10"},
		{web2, "203.0.113.9", 443, tcp, false, "10.1.0.11"},
		{web2, "198.51.100.7", 443, tcp, false, "10.1.0.11"},
		{web2, "198.51.100.7", 80, tcp, false, "10.1.0.11"},
		{web1, "2001:db8::9", 443, tcp, false, "2001:db8::10"},
		{web1, "10.2.0.5", 9090, tcp, false, "10.1.0.10"},
		{prom, "10.1.0.10", 9090, tcp, true, "10.2.0.5"},
		{db, "10.1.0.10", 5432, tcp, false, "10.1.0.30"},
		{db, "10.1.0.11", 5432, tcp, false, "10.1.0.30"},
		{db, "127.0.0.1", 5432, tcp, false, "127.0.0.1"},
		{batch, "10.1.0.30", 5432, tcp, true, "10.1.0.40"},
		{db, "10.1.0.40", 5432, tcp, false, "10.1.0.30"},
		{lone, "10.3.0.1", 3868, 132, true, "10.1.0.50"},
		{lone, "10.3.0.1", 0, tcp, true, "10.1.0.50"},
		{lone, "10.3.0.1", 8, 1, true, "10.1.0.50"},
		{docker, "203.0.113.9", 80, tcp, true, "172.17.0.2"},
		{host, "203.0.113.9", 22, tcp, true, "192.0.2.1"},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	// Values that YAML would read as something else, or that would end a document.
	odd := []row{{aPod{"shop", "odd", "a=true,b=1.0,c=null,d=0x1F,e=1:20,f=,g=~,h=yes,i=012,j=2026-11-30,k=on,l=---,m=1e3,n=.inf", "", ""}, "192.0.2.7", 1, tcp, true, ""}}
	for _, format := range Formats() {
		for name, rows := range map[string][]row{"shop": shop(), "odd": odd, "none": {{docker, "203.0.113.9", 80, tcp, true, "172.17.0.2"}}} {
			path := filepath.Join("testdata", format+"-"+name+".yaml")
			got := textOf(t, gathered(t, format, true, 5, rows))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || got != string(want) {
				t.Errorf("%s (%v): got\n%s\nwant\n%s", path, err, got, want)
			}
		}
	}
}

// The text does not depend on the order of rows, on batches, or on how often a row comes.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	want := textOf(t, gathered(t, DefaultFormat, true, 100, shop()))
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		rows := append(shop(), shop()[:r.IntN(len(shop()))]...)
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		if got := textOf(t, gathered(t, DefaultFormat, true, 1+r.IntN(10), rows)); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// An address that pods with different labels have had is no pod's, and data sources without addresses of pods know only addresses.
func TestPeersWithoutPods(t *testing.T) {
	t.Parallel()
	rows := []row{
		{web1, "10.1.0.30", 5432, tcp, true, "10.1.0.10"},
		{db, "10.1.0.99", 1, tcp, false, "10.1.0.30"},
	}
	const byLabel, byAddress = "app: db\n", "cidr: 10.1.0.30/32\n"
	policy := func(local bool, rows []row) string { // of web
		text := textOf(t, gathered(t, DefaultFormat, local, 10, rows))
		return text[strings.Index(text, "name: web-network"):]
	}
	if got := policy(true, rows); !strings.Contains(got, byLabel) || strings.Contains(got, byAddress) {
		t.Errorf("the peer is not known by its labels:\n%s", got)
	}
	if got := policy(true, append(rows, row{lone, "10.1.0.98", 1, tcp, false, "10.1.0.30"})); !strings.Contains(got, byAddress) || strings.Contains(got, byLabel) {
		t.Errorf("an address that two have had is one's:\n%s", got)
	}
	if got := policy(false, rows); !strings.Contains(got, byAddress) {
		t.Errorf("without addresses of pods:\n%s", got)
	}
}

// No rule allows a peer at a port that was not seen.
func TestRulesAreExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		want := make(map[string]bool)
		var rows []row
		for range 1 + r.IntN(40) {
			one := row{web1, fmt.Sprintf("192.0.2.%d", 1+r.IntN(5)), uint16(1 + r.IntN(5)), []uint8{tcp, udp}[r.IntN(2)], r.IntN(2) == 0, ""}
			rows = append(rows, one)
			want[fmt.Sprint(one.egress, one.peer, port{one.port, protocol(one.proto)})] = true
		}
		w := gathered(t, DefaultFormat, true, 7, rows).advise().workloads[0]
		seen := make(map[string]bool)
		for egress, rules := range map[bool][]rule{false: w.ingress, true: w.egress} {
			for _, rule := range rules {
				for _, p := range rule.peers {
					for _, at := range rule.ports {
						key := fmt.Sprint(egress, p.addr.String(), at)
						if seen[key] || !want[key] {
							t.Errorf("%s: twice %v, expected %v", key, seen[key], want[key])
						}
						seen[key] = true
					}
				}
			}
		}
		if len(seen) != len(want) {
			t.Errorf("%d of %d connections are allowed", len(seen), len(want))
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for of, want := range map[string]string{
		"web": "web-network", "My.Pod": "my-pod-network", "--": "pods-network", "é\n": "pods-network", long: long[:232] + "-network",
	} {
		if got := policyName(of); got != want {
			t.Errorf("%q: %q, want %q", of, got, want)
		}
	}
	// Pods of one owner with different labels have policies of their own.
	blue := aPod{"shop", "a-1", "app=a,color=blue", "a", ""}
	green := aPod{"shop", "a-2", "app=a,color=green", "a", ""}
	text := textOf(t, gathered(t, DefaultFormat, true, 1, []row{{green, "192.0.2.1", 1, tcp, true, ""}, {blue, "192.0.2.1", 1, tcp, true, ""}}))
	if strings.Count(text, "name: a-network\n") != 1 || strings.Count(text, "name: a-network-2\n") != 1 {
		t.Errorf("two policies have one name:\n%s", text)
	}
}

// A comment is one line, whatever the names of others are.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	rows := []row{
		{aPod{container: "a\nkind: Secret\x1b[2J\u202e"}, "192.0.2.1", 1, tcp, true, ""},
		{aPod{namespace: "b\n---\n", pod: "c\x00d"}, "192.0.2.1", 1, tcp, true, ""},
	}
	text := textOf(t, gathered(t, DefaultFormat, true, 1, rows))
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "# ") || strings.ContainsAny(line[:len(line)-1], "\x1b\n\u202e\x00") {
			t.Errorf("line %q", line)
		}
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	var pods []aPod
	s, column := newSample(&pods, true)
	sink, err := New(DefaultFormat)
	if err != nil {
		t.Fatal(err)
	}
	sink.connections = 3
	if _, err := sink.Bind(s); err != nil {
		t.Fatal(err)
	}
	write := func(from, to int) error { return sink.Write(batchOf(s, column, &pods, shop()[from:to])) }
	if err := errors.Join(write(0, 3), write(1, 3)); err != nil {
		t.Errorf("what is known is refused: %v", err)
	}
	if err := write(2, 6); !errors.Is(err, pipeline.ErrDropped) {
		t.Errorf("error %v", err)
	}
	if text := textOf(t, sink); !strings.Contains(text, "# INCOMPLETE: 4 rows were dropped") || strings.Contains(text, "203.0.113.9") {
		t.Errorf("got\n%s", text)
	}
	sink.connections, sink.maxText = 1000, sink.text
	if err := write(0, len(shop())); !errors.Is(err, pipeline.ErrDropped) {
		t.Errorf("error %v", err)
	}
}

// Rows that are known cost no memory.
func TestKnownRowsAllocateNothing(t *testing.T) {
	var pods []aPod
	s, column := newSample(&pods, true)
	sink, err := New(DefaultFormat)
	if err != nil {
		t.Fatal(err)
	}
	reads, err := sink.Bind(s)
	if err != nil || reads.Len() != 10 {
		t.Fatalf("reads %d fields, %v", reads.Len(), err)
	}
	for i := range s.Fields { // the tables of the sample allocate
		if table, ok := s.Fields[i].Table.(*podTable); ok {
			table.text = func(*aPod) string { return "" }
		}
	}
	b := batchOf(s, column, &pods, shop())
	if n := testing.AllocsPerRun(100, func() {
		if err := sink.Write(b); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	if _, err := New("clium"); err == nil || err.Error() != `unknown format of policies "clium" (known: k8s, cilium); did you mean "cilium"?` {
		t.Errorf("error %v", err)
	}
	var pods []aPod
	for missing, want := range map[string]string{
		"endpoint.port": `policies need the peer of each connection, and data source "network_connections" has no endpoint.port`,
		"k8s.podLabels": `policies need the pod of each connection, and data source "network_connections" has no k8s.podLabels`,
	} {
		s, _ := newSample(&pods, true)
		s.Fields = slices.DeleteFunc(s.Fields, func(f event.Field) bool { return f.Name == missing })
		sink, err := New(DefaultFormat)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Bind(s); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
