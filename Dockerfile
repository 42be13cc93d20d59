# Two stages: wheels are built with pip in the first, the second holds the virtual environment and nothing to build with.
FROM python:3.11-slim AS build
WORKDIR /src
RUN python3 -m venv /venv
COPY constraints.txt setup.cfg pyproject.toml README.md ./
COPY app app
COPY jobs jobs
COPY launch launch
COPY subscribers subscribers
COPY workers workers
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home jobs && install -d -o jobs /var/lib/jobs
COPY --from=build /venv /venv
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER jobs
WORKDIR /tmp
EXPOSE 8000
CMD ["python", "-m", "app"]
