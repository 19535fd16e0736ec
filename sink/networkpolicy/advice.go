// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package networkpolicy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// protocol is a number of IP.
type protocol uint8

// name returns the name that policies have for a protocol; empty: they have none.
func (p protocol) name() string {
	switch p {
	case 6:
		return "TCP"
	case 17:
		return "UDP"
	case 132:
		return "SCTP"
	}
	return ""
}

// port is a server's port.
type port struct {
	number   uint16
	protocol protocol
}

func (p port) compare(o port) int {
	return cmp.Or(cmp.Compare(p.number, o.number), cmp.Compare(p.protocol, o.protocol))
}

// peer is the other end of connections: pods with these labels, or else an address.
type peer struct {
	pods *workload
	addr netip.Addr
}

func (p peer) compare(o peer) int {
	switch {
	case p.pods != nil && o.pods != nil:
		return cmp.Compare(p.pods.id, o.pods.id)
	case p.pods != nil:
		return -1
	case o.pods != nil:
		return 1
	}
	return p.addr.Compare(o.addr)
}

// workload is all pods of a namespace that have the same labels: what a policy is for.
type workload struct {
	id        string
	namespace string
	labels    []label
	name      string // of the policy
	ingress   []rule
	egress    []rule
}

// rule allows connections of all its peers at all its ports.
type rule struct {
	peers []peer
	ports []port
}

// advice is what the text says.
type advice struct {
	workloads []*workload // with connections, in the order of their ids
	// containers are in no pod, and unlabelled pods have no labels that a policy could select them by.
	containers, unlabelled []string
	host                   bool // there are connections of no container
	addresses              bool // some peers are known by their addresses only
	dropped                int  // rows
}

// advise derives the policies from the connections.
func (s *Sink) advise() *advice {
	a := &advice{dropped: s.dropped}
	byID := make(map[string]*workload)
	names := make(map[*workload][]string)
	of := func(p *pod) *workload {
		w := byID[p.workload]
		if w == nil {
			w = &workload{id: p.workload, namespace: p.namespace, labels: p.labels}
			byID[p.workload] = w
		}
		return w
	}
	gathered := make(map[*workload]*[2]map[peer][]port) // for both directions
	for c := range s.all {
		if !c.pod.isSelectable() {
			a.leaveOut(c.pod)
			continue
		}
		w := of(c.pod)
		names[w] = append(names[w], cmp.Or(c.pod.owner, c.pod.name))
		from := peer{addr: c.peer}
		if p := s.owners[c.peer]; p != nil && p.isSelectable() {
			from = peer{pods: of(p)}
		}
		a.addresses = a.addresses || from.pods == nil
		if gathered[w] == nil {
			gathered[w] = &[2]map[peer][]port{make(map[peer][]port), make(map[peer][]port)}
		}
		to := gathered[w][directionOf(c.egress)]
		to[from] = append(to[from], c.port)
	}
	for w, both := range gathered {
		w.ingress, w.egress = rulesOf(both[directionOf(false)]), rulesOf(both[directionOf(true)])
		a.workloads = append(a.workloads, w)
	}
	slices.SortFunc(a.workloads, func(v, w *workload) int { return cmp.Compare(v.id, w.id) })
	nameAll(a.workloads, names)
	a.containers, a.unlabelled = sortedOnce(a.containers), sortedOnce(a.unlabelled)
	return a
}

func directionOf(egress bool) int {
	if egress {
		return 1
	}
	return 0
}

// leaveOut notes connections that no policy can be about.
func (a *advice) leaveOut(p *pod) {
	switch {
	case p.inPod():
		a.unlabelled = append(a.unlabelled, p.namespace+"/"+p.name)
	case p.container != "":
		a.containers = append(a.containers, p.container)
	default:
		a.host = true
	}
}

// rulesOf joins peers with the same ports to one rule, so that each pair of a peer and a port is in exactly one, and no rule allows a pair that
// was not seen.
func rulesOf(ports map[peer][]port) []rule {
	byPorts := make(map[string]*rule)
	for p, list := range ports {
		slices.SortFunc(list, port.compare)
		list = slices.Compact(list)
		key := fmt.Sprint(list)
		r := byPorts[key]
		if r == nil {
			r = &rule{ports: list}
			byPorts[key] = r
		}
		r.peers = append(r.peers, p)
	}
	rules := make([]rule, 0, len(byPorts))
	for _, r := range byPorts {
		slices.SortFunc(r.peers, peer.compare)
		rules = append(rules, *r)
	}
	slices.SortFunc(rules, func(a, b rule) int { return slices.CompareFunc(a.ports, b.ports, port.compare) })
	return rules
}

// nameAll names the policies after what has made their pods.
func nameAll(workloads []*workload, names map[*workload][]string) {
	taken := make(map[[2]string]bool)
	for _, w := range workloads {
		base := policyName(slices.Min(names[w]))
		w.name = base
		for i := 2; taken[[2]string{w.namespace, w.name}]; i++ {
			w.name = fmt.Sprintf("%s-%d", base, i)
		}
		taken[[2]string{w.namespace, w.name}] = true
	}
}

// policyName returns a name as Kubernetes allows it, of at most 253 characters with a number behind it.
func policyName(of string) string {
	const suffix, most = "-network", 240
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(of))
	name = strings.Trim(name[:min(len(name), most-len(suffix))], "-")
	return cmp.Or(name, "pods") + suffix
}

func sortedOnce(list []string) []string {
	once := make(map[string]bool)
	for _, item := range list {
		once[item] = true
	}
	return slices.Sorted(maps.Keys(once))
}
