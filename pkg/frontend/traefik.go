package frontend

// traefik is Traefik with the forwardAuth middleware. It takes any 2xx for an allow,
// and shows the viewer everything else as it is.
func traefik() proxy {
	return proxy{name: "traefik", path: "/auth/traefik", read: readForwarded, answer: answerShown}
}
