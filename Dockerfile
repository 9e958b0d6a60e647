# twistmail in a container, as an ordinary user with nothing but its data folder to write to:
#
#   docker build -t twistmail .
#   docker run --read-only --cap-drop=ALL -v ./config.ini:/etc/twistmail/config.ini:ro -v mail:/var/lib/twistmail \
#       -p 25:25 -p 465:465 -p 587:587 -p 993:993 --name mail twistmail
#   docker exec mail twistmail status
#
# In config.ini, data_dir is /var/lib/twistmail. Ports below 1024 may be opened by any user in there.

FROM python:3.13-slim AS build
COPY pyproject.toml README.md LICENSE config.example.ini /src/
COPY twistmail /src/twistmail
COPY twisted /src/twisted
RUN python -m venv /opt/twistmail && /opt/twistmail/bin/pip install --no-cache-dir "/src[rich,acme]"

FROM python:3.13-slim
RUN useradd --system --user-group --home-dir /var/lib/twistmail --shell /usr/sbin/nologin twistmail \
    && install --directory --owner=twistmail --group=twistmail --mode=700 /var/lib/twistmail \
    && install --directory /etc/twistmail
COPY --from=build /opt/twistmail /opt/twistmail
ENV PATH=/opt/twistmail/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER twistmail
WORKDIR /var/lib/twistmail
VOLUME /var/lib/twistmail
EXPOSE 25 465 587 143 993 110 995
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=1m --start-period=30s CMD ["twistmail", "status", "--quiet"]
ENTRYPOINT ["twistd", "--nodaemon", "--pidfile=", "--umask=077", "twistmail"]
CMD ["--config", "/etc/twistmail/config.ini"]
